"""Sealing of fields and blobs under data keys, wrapping of data keys under key-encryption keys, keyed look-up hashes.

Every ciphertext is bound to its place (collection/key/field), so that a swapped row or field fails to open.
"""

from libs.envelope.key_files import Secrets, open_keks, open_secrets
from libs.envelope.keyed_hash import KeyedHash
from libs.envelope.keys import new_data_key, read_key
from libs.envelope.sealing import open_sealed, place_of, seal
from libs.envelope.vault import Vault
from libs.envelope.wrapping import KeyEncryptionKeys

__all__ = [
    "KeyEncryptionKeys",
    "KeyedHash",
    "Secrets",
    "Vault",
    "new_data_key",
    "open_keks",
    "open_sealed",
    "open_secrets",
    "place_of",
    "read_key",
    "seal",
]
