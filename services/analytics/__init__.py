"""Turns facts into statistics: bounded, counted, noised, released once.

Owns: counts of open windows (sealed, destroyed at release), releases, the privacy budget, the audit of who read what.
Calls: nobody.
Hears: facts.> (a stream in memory).
Never sees: an address, an account or any other name; only pseudonyms under a salt that lives for one day, in memory,
and not even those on a disk.
"""
