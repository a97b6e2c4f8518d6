"""Who has which address, who may sign in, and by what proof.

Owns: accounts, claims on addresses, domains (from the settings), verifiers of passwords and recovery codes, private
keys wrapped by their owners, sessions, API keys, app passwords, roles, addresses that copies of mail are forwarded to,
consents, contact addresses, notices, concerns, erasures that are asked for.
Calls: nobody. Emits: role.changed.v1.
Called by: ingest (Resolve, and Authenticate with an app password), delivery (recipients, domains, Reach), gateway, and
retention (notices, due erasures, and everything that a data owner is asked).
Never sees: a password, a recovery code, a key that opens mail, mail itself, an IP address.

On disk nothing names a person: an address is a keyed hash where it is looked up and ciphertext where it is shown,
labels are ciphertext, proofs are hashes. Staff work on accounts at the command line, see cli.
"""
