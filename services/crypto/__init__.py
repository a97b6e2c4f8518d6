"""crypto: seals mail to its owner, keeps certificates and data keys.

Owns:       the directory of OpenPGP certificates (stored sealed, found by keyed hash); data keys, one per account and
            one per public domain and day, wrapped under the key-encryption key.
Calls:      nobody.
Emits:      nothing.
Sees:       the plaintext of each mail while it seals it, in memory only.
Never sees: private keys of members, passwords, sessions; it cannot open what it has sealed to a member.
"""
