"""The rules of statistics: what counts, within which bound, in which window, and what noise it gets."""
