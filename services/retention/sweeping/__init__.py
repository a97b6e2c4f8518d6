"""Sweeps: every owner and class, again and again, and what is known of how far they are."""
