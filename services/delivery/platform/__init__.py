"""Mail of the platform itself: a closed list of letters, and one way out for all of them."""
