"""crypto: seals mail to its owner, keeps certificates, data keys and DKIM keys.

Owns:       the directory of OpenPGP certificates (stored sealed, found by keyed hash); data keys, one per account,
            one per public domain and day and one per mail on its way out, wrapped under the key-encryption key; the
            DKIM keys of domains (stored sealed, found by keyed hash).
Calls:      nobody.
Emits:      nothing.
Sees:       the plaintext of each mail while it seals it, in memory only.
Never sees: private keys of members, passwords, sessions; it cannot open what it has sealed to a member.
"""
