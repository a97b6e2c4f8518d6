"""What is used, counted once each, however often it is told and whoever dies in between."""
