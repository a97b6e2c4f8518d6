"""The evidence ledger: entries in a hash chain, signed ends of days, the file, and the check of the file."""
