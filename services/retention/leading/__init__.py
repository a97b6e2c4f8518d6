"""Who leads: the lease, trusted time, and the duties of whoever has both."""
