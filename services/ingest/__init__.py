"""Mail in: the MX of the installation.

Owns: nothing. Mail is in the memory of this process between the first byte of DATA and the 250, and nowhere else.
Calls: accounts (Resolve), crypto (Seal), storage (Stage, Append).
Emits: nothing; storage announces what it has stored.
Never sees: a key that opens mail, what is stored already, who reads it. Keeps no record of who sent what to whom: the
counters against abuse are keyed hashes that live for minutes.
"""
