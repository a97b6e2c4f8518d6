"""Releases: closing of windows, budget, noise, and what is kept."""
