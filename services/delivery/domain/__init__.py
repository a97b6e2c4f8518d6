"""What sending is about; knows no wire."""
