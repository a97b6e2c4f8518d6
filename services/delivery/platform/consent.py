"""One click that takes the consent to the newsletter back (RFC 8058): the fields in the letter, and what a click does.

As with the mail of customers the token is all that is needed, sealed under this service's key, and nothing is kept for
it. It names the account alone, and can do one thing: say no.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Protocol

from libs.envelope import Vault
from libs.runtime.errors import InternalError, NotFoundError
from libs.runtime.ids import is_id

_PLACE = "platform/v1/consent"
# Filled up, so that it has the length that the page knows tokens by.
_FILL = 128
_TOKEN = re.compile(r"[A-Za-z0-9_-]{100,2000}\Z")


class Consents(Protocol):
    """Of the service accounts."""

    async def withdraw(self, account_id: str) -> None:
        """Take back that an account gets the newsletter. Raises: NotFoundError, UnavailableError."""


class ConsentLinks:
    """Makes links, and follows them."""

    def __init__(self, vault: Vault, public_url: str, consents: Consents) -> None:
        """Take what seals, where the pages are, and who is told."""
        self._vault = vault
        self._url = public_url.rstrip("/")
        self._consents = consents

    def url(self, account_id: str) -> str:
        """Return the link for an account; a different one each time."""
        sealed = self._vault.seal(_PLACE, account_id.encode().ljust(_FILL))
        return f"{self._url}/u/{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    async def withdraw(self, token: str) -> None:
        """Take the consent back that `token` names; an account that is gone has none. Idempotent.

        Raises: NotFoundError("token_unknown"), UnavailableError.
        """
        account_id = self._read(token)
        try:
            await self._consents.withdraw(account_id)
        except NotFoundError:
            return

    def _read(self, token: str) -> str:
        if not _TOKEN.match(token):
            raise NotFoundError("token_unknown")
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            account_id = self._vault.open(_PLACE, sealed).decode("ascii").strip()
        except (InternalError, binascii.Error, UnicodeError) as error:
            raise NotFoundError("token_unknown") from error
        if not is_id(account_id):
            raise NotFoundError("token_unknown")
        return account_id


def fields_of(url: str) -> str:
    """Return List-Unsubscribe and List-Unsubscribe-Post, CRLF at the end of each."""
    return f"List-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
