"""The data owners that are called, and the one that retention is itself."""
