"""Turns facts into statistics: bounded, counted, noised, released once.

Owns: counts of open windows (sealed, destroyed at release), releases, the privacy budget, the audit of who read what.
Calls: nobody; it reads the metrics of every service.
Emits: nothing that lasts: to the services how far their facts are counted, to itself what units have used of their
bounds, both in memory. It hears facts.>, a stream in memory.
Never sees: an address, an account or any other name of those who are counted; only pseudonyms under a salt that lives
for one day in memory, and not even those reach a disk. Of those who read it keeps who they are, until they are erased.
"""
