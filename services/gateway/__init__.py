"""The public HTTP edge: the page, the JSON API, live updates, the Web Key Directory, mail on its way out.

Owns: nothing. Calls: accounts, crypto, storage, delivery, analytics, billing, retention;
key directories of other domains.
Emits: nothing; listens to mail.stored.v1 for live updates.
Never sees: a password, a member's private key unwrapped, the plaintext of mail that members seal. It does see the
plaintext of public inboxes, which everybody may read, while it hands them out, and of mail that goes out open.
"""
