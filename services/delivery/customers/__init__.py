"""What belongs to those who send: how much they may, what became of it, and where and from whom they want it.

Everything kept here is found by a mark of the account, a keyed hash of its id, and by keyed hashes of addresses, names
of domains and of campaigns; what has to be read again (recipients, URLs, secrets) is sealed. So the documents tell how
much somebody sends, and neither who it is nor to whom.
"""
