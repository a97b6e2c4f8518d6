"""Links that tell of an open or a click, and can be linked to nobody once the day of sending is over.

A link holds all that is needed, sealed under this service's own key-encryption key: which campaign, where it leads, and
a pseudonym of the recipient under the salt of the day on which the mail was sent. That salt is in memory only and ends
with its day; afterwards nobody, we included, can compute whose pseudonym it is. Nothing is stored for a link, and where
it leads nobody can choose but us: it is no open redirect.

Who does not want to be counted follows another kind of link. It holds the address, for that is what is kept apart then
(as a keyed hash), and it says nothing of any open or click.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import Literal

from libs.envelope import Vault
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InternalError, NotFoundError
from services.delivery.domain.limits import DAY

VALID_DAYS = 60
MAX_TARGET = 2000
Response = Literal["open", "click"]

_RESPONSE_PLACE = "measure/v1/response"
_OUT_PLACE = "measure/v1/out"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{60,4000}\Z")
# Kind, day of sending, campaign, pseudonym; then the target.
_FORM = struct.Struct(">BHQQ")
_KINDS: dict[int, Response] = {1: "open", 2: "click"}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Link:
    """What a link stands for; `target` "" for an open."""

    kind: Response
    campaign: int
    pseudonym: int
    target: str = ""


class MeasuringLinks:
    """Makes and reads the links."""

    def __init__(self, vault: Vault, public_url: str, clock: Clock) -> None:
        """Take what seals, and where this installation's pages are."""
        self._vault = vault
        self._url = public_url.rstrip("/")
        self._clock = clock

    def url(self, link: Link) -> str:
        """Return the URL for a link, different each time; only URL-safe signs."""
        form = _FORM.pack(_NUMBERS[link.kind], self._today(), link.campaign, link.pseudonym)
        token = self._seal(_RESPONSE_PLACE, form + link.target.encode())
        return f"{self._url}/m/{token}{'.gif' if link.kind == 'open' else ''}"

    def out_url(self, address: str) -> str:
        """Return the URL of the page on which the holder of an address says that he is not to be counted."""
        return f"{self._url}/o/{self._seal(_OUT_PLACE, address.encode())}"

    def read(self, token: str) -> Link:
        """Return what a link stands for. Raises: NotFoundError("token_unknown"), also once it is too old."""
        content = self._open(_RESPONSE_PLACE, token)
        kind, day, campaign, pseudonym = _FORM.unpack_from(content)
        # A day is counted in 16 bits, which last until the year 2149.
        if not 0 <= self._today() - day <= VALID_DAYS:
            raise NotFoundError("token_unknown")
        return Link(_KINDS[kind], campaign, pseudonym, content[_FORM.size :].decode())

    def read_out(self, token: str) -> str:
        """Return the address that does not want to be counted. Raises: NotFoundError("token_unknown")."""
        return self._open(_OUT_PLACE, token).decode()

    def _today(self) -> int:
        return unix_seconds(self._clock) // DAY

    def _seal(self, place: str, content: bytes) -> str:
        return base64.urlsafe_b64encode(self._vault.seal(place, content)).decode().rstrip("=")

    def _open(self, place: str, token: str) -> bytes:
        if not _TOKEN.match(token):
            raise NotFoundError("token_unknown")
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._vault.open(place, sealed)
        except (InternalError, binascii.Error) as error:
            raise NotFoundError("token_unknown") from error
