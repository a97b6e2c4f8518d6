"""What retention keeps, one module for each aggregate."""
