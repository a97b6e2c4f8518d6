"""What follows from reports about mail that went out."""
