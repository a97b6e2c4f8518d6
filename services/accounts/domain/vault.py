"""What names a person is sealed: the address and the fingerprint of an account, the labels of its credentials.

Each account has a data key of its own, wrapped by the key-encryption key of this service and kept in the account's
document. Deleting the document makes everything sealed under that key unreadable wherever a copy may lie.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from libs.envelope import KeyedHash, KeyEncryptionKeys, new_data_key, open_sealed, place_of, seal
from libs.runtime.errors import InternalError, InvalidError
from libs.runtime.secret import Secret
from services.accounts.domain.addresses import Address
from services.accounts.domain.model import Account, Credential, Forward, Identity


@dataclass(frozen=True)
class Place:
    """Where something sealed is kept."""

    collection: str
    key: str
    field: str


class Vault:
    """Seals and opens under the data keys of accounts."""

    def __init__(self, keks: KeyEncryptionKeys) -> None:
        """Wrap data keys under the newest of `keks`."""
        self._keks = keks

    def new_identity(self, account_id: str, identity: Identity) -> tuple[bytes, bytes]:
        """Return a new wrapped data key and the sealed identity, both bound to this account."""
        data_key = new_data_key()
        content = json.dumps({"address": identity.address, "fingerprint": identity.fingerprint}).encode()
        sealed = seal(data_key, place_of("accounts", account_id, "identity"), content)
        return self._keks.wrap(data_key, place_of("accounts", account_id, "data_key")), sealed

    def identity(self, account: Account) -> Identity:
        """Open the identity of an account.

        Raises: InternalError("account_damaged"), UnavailableError("kek_missing").
        """
        place = place_of("accounts", account.account_id, "identity")
        content = json.loads(self._open(account, place, account.identity))
        return Identity(address=content["address"], fingerprint=content["fingerprint"])

    def seal_label(self, account: Account, credential_id: str, label: str) -> bytes:
        """Seal the label of a credential. Raises: as `identity`."""
        return seal(self._data_key(account), place_of("credentials", credential_id, "label"), label.encode())

    def label(self, account: Account, credential: Credential) -> str:
        """Open the label of a credential. Raises: as `identity`."""
        place = place_of("credentials", credential.credential_id, "label")
        return self._open(account, place, credential.label).decode()

    def seal_forward(self, account: Account, forward_id: str, address: str) -> bytes:
        """Seal an address that copies go to. Raises: as `identity`."""
        return seal(self._data_key(account), place_of("forwards", forward_id, "address"), address.encode())

    def forward(self, account: Account, forward: Forward) -> str:
        """Open an address that copies go to. Raises: as `identity`."""
        return self._open(account, place_of("forwards", forward.forward_id, "address"), forward.address).decode()

    def seal_text(self, account: Account, place: Place, text: str) -> bytes:
        """Seal a text at the place where it is kept. Raises: as `identity`."""
        return seal(self._data_key(account), place_of(place.collection, place.key, place.field), text.encode())

    def open_text(self, account: Account, place: Place, sealed: bytes) -> str:
        """Open the text that was sealed at this place. Raises: as `identity`."""
        return self._open(account, place_of(place.collection, place.key, place.field), sealed).decode()

    def _open(self, account: Account, place: str, sealed: bytes) -> bytes:
        try:
            return open_sealed(self._data_key(account), place, sealed)
        except InvalidError as error:
            # Not the caller's input is invalid, but what we kept.
            raise InternalError("account_damaged") from error

    def _data_key(self, account: Account) -> Secret[bytes]:
        try:
            return self._keks.unwrap(account.data_key, place_of("accounts", account.account_id, "data_key"))
        except InvalidError as error:
            raise InternalError("account_damaged") from error


def address_key(hashes: KeyedHash, address: Address) -> str:
    """Return the name under which the claim on an address is kept: its keyed hash, 32 hexadecimal digits."""
    return hashes.digest("address", address.text.encode()).hex()


def public_mailbox_id(hashes: KeyedHash, address: Address) -> str:
    """Return the mailbox of a public address, 32 hexadecimal digits; no document is needed to find it again."""
    return hashes.digest("public-mailbox", address.text.encode()).hex()
