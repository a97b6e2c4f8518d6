"""The way out: which hosts may be talked to, looking them up, and HTTPS to addresses that strangers name."""
