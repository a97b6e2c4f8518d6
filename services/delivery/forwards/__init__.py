"""Mail that came in and goes on: copies for an account's addresses, their return paths, and their chain of custody."""
