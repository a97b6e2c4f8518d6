"""The books: one for each customer, append-only, balanced entry by entry."""
