"""Counting: partitions of the units, shared by leases, committed exactly once."""
