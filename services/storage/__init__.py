"""Keeps sealed messages, their folders and flags.

Owns: sealed messages and bodies, folders, flags, sealed contacts and settings, the counters of each mailbox.
Calls: nobody.
Emits: mail.stored.v1, one for each message, in the commit that makes it visible.
Never sees: plaintext, addresses, names of folders, keys.
"""
