"""Payments: asked for, made at a provider or by transfer, booked once, taken back, and what happens when none comes."""
