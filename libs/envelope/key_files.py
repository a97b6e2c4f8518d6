"""What the key files of a service hold; a fault is named by the setting that names the file."""

from __future__ import annotations

from dataclasses import dataclass

from libs.envelope.keyed_hash import KeyedHash
from libs.envelope.vault import Vault
from libs.envelope.wrapping import KeyEncryptionKeys
from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError


@dataclass(frozen=True)
class Secrets:
    """What a service hashes with that is looked up, and what it seals with."""

    hashes: KeyedHash
    vault: Vault


def open_secrets(kek: Secret[str], lookup_key: Secret[bytes]) -> Secrets:
    """Return what the files of SEALPOST_KEK_FILE and SEALPOST_LOOKUP_KEY_FILE hold. Raises: SettingsError."""
    vault = Vault(open_keks(kek))
    try:
        return Secrets(KeyedHash(lookup_key), vault)
    except ValueError as error:
        raise SettingsError([f"SEALPOST_LOOKUP_KEY_FILE: {error}"]) from error


def open_keks(kek: Secret[str]) -> KeyEncryptionKeys:
    """Return the keys of the file of SEALPOST_KEK_FILE. Raises: SettingsError where it holds none."""
    try:
        return KeyEncryptionKeys.from_file(Secret(kek.reveal().encode()))
    except ValueError as error:
        raise SettingsError([f"SEALPOST_KEK_FILE: {error}"]) from error
