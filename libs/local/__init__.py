"""The local platform: set-up on a fresh machine, and the supervisor behind `make run`.

`bootstrap` runs before anything is installed and therefore knows the standard library only.
"""
