"""Probes: every clause is tried on the running platform."""
