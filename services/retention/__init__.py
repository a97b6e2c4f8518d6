"""Makes the policy happen, and shows that it did.

Owns: the schedule of sweeps, the evidence ledger and its signed roots, erasures under way, their register and receipts,
versions of the policy, disclosure cases, results of probes, canaries.
Calls: the DataOwner of accounts, crypto, storage, delivery, analytics and billing; accounts for due erasures, notices
and the account of a case; delivery for the platform's own letters; canaries go through the platform's ordinary doors.
Emits: nothing; it hears role.changed.v1.
Never sees: the content of a mail in clear, a password, or a key of anybody's mail; and it writes nobody's id or
address into the ledger.
"""
