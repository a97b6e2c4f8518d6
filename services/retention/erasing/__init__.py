"""Erasures: register, steps, receipts, and the replay after a restore."""
