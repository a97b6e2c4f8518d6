"""Mail in: the MX of the installation, and submission, where its own users hand in what they send.

Owns: nothing. Mail is in the memory of this process between the first byte of DATA and the 250, and nowhere else.
Calls: accounts, crypto, storage, delivery; billing for what plans allow. Received mail is resolved, sealed and stored;
submitted mail, what comes back for it, and copies of received mail for those who forward go to delivery.
Emits: nothing; storage announces what it has stored, delivery what it sends.
Never sees: a key that opens mail, what is stored already, who reads it. Keeps no record of who sent what to whom: the
counters against abuse are keyed hashes that live for minutes. Keeps no password: it is passed to accounts and dropped.
"""
