"""Small things that a service keeps are sealed under its own key-encryption key.

Each blob has a data key of its own, wrapped in front of it. Both are bound to their place, so that a blob moved to
another document or field fails to open; deleting the document leaves nothing that opens.
"""

from __future__ import annotations

from libs.envelope.keys import new_data_key
from libs.envelope.sealing import open_sealed, seal
from libs.envelope.wrapping import KeyEncryptionKeys
from libs.runtime.errors import InternalError, InvalidError

_WRAPPED = 1 + 4 + 12 + 32 + 16


class Vault:
    """Seals and opens small things for as long as their documents live."""

    def __init__(self, keks: KeyEncryptionKeys) -> None:
        """Wrap data keys under the newest of `keks`."""
        self._keks = keks

    def seal(self, place: str, content: bytes) -> bytes:
        """Return `content` sealed at `place` (libs.envelope.place_of)."""
        data_key = new_data_key()
        return self._keks.wrap(data_key, place) + seal(data_key, place, content)

    def open(self, place: str, blob: bytes) -> bytes:
        """Return what `seal` was given.

        Raises: InternalError("document_damaged") where it does not open, UnavailableError("kek_missing").
        """
        try:
            return open_sealed(self._keks.unwrap(blob[:_WRAPPED], place), place, blob[_WRAPPED:])
        except InvalidError as error:
            # Not a caller's input is invalid, but what we kept.
            raise InternalError("document_damaged") from error
