"""The secrets of this service, in the form in which they are used."""

from __future__ import annotations

from dataclasses import dataclass

from libs.envelope import KeyedHash
from services.accounts.domain.vault import Vault
from services.accounts.domain.verifiers import Verifiers


@dataclass(frozen=True)
class Keys:
    """`hashes` and `verifiers` come of the lookup key, `vault` of the key-encryption keys."""

    hashes: KeyedHash
    verifiers: Verifiers
    vault: Vault
