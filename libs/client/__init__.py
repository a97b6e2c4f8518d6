"""The reference client: signs up, signs in, lists, reads, deletes; all cryptography happens here, on the user's side.

`api.Client` is the library, `python -m libs.client --help` the program.
"""
