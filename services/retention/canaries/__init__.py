"""Canaries: made-up items that go in through the ordinary doors and must be gone in time."""
