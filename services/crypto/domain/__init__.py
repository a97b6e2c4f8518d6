"""The rules of crypto: which certificates are taken, how keys live and die, how mail is sealed, public mail opened."""
