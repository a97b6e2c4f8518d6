"""Probes: every clause is tried on the running platform, again and again, through the doors that everybody uses."""

from services.retention.probes.table import PROBES

__all__ = ["PROBES"]
