"""Plans, usage, credits, invoices and payments over HTTP; all of it is billing's, and this is its translation."""
