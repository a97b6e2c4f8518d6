"""The services. Each is one process; they never import each other."""
