"""The public HTTP edge: the page, the JSON API, live updates, the Web Key Directory.

Owns: nothing. Calls: accounts, crypto, storage. Emits: nothing; listens to mail.stored.v1 for live updates.
Never sees: a password, a member's private key unwrapped, the plaintext of a member's mail. It does see the plaintext of
public inboxes, which everybody may read, while it hands them out.
"""
