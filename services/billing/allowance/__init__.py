"""What accounts may use: granted ahead to whoever meters it, and counted by that."""
