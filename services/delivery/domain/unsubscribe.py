"""One click takes a recipient off a list (RFC 8058): the fields in the mail, and the token in their URL.

The token is everything that is needed, for a mail is forgotten long before somebody clicks in it: account, campaign,
address and which mail it was, sealed under this service's own key-encryption key. So nobody reads or makes one, it
names nobody in a log of URLs, and nothing is stored for it. A rotated key-encryption key must be held for as long as
the links made under it are to work.

The signature has to cover the fields (RFC 8058 4), so they go in front before a mail is signed. Those that the sender
had put in himself have made room by then (domain.prepare).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

from libs.envelope import Vault
from libs.runtime.errors import InternalError, NotFoundError
from services.delivery.domain.model import Profile, QueuedMail

_PLACE = "unsubscribe/v1/token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{100,2000}\Z")


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who got which mail of whose campaign."""

    account_id: str
    profile: Profile
    campaign: str
    mail_id: str
    index: int
    address: str


class UnsubscribeLinks:
    """Makes and reads the links of mails."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        """Take what seals, and where this installation's pages are."""
        self._vault = vault
        self._url = public_url.rstrip("/")

    def fields(self, mail: QueuedMail, index: int) -> bytes:
        """Return List-Unsubscribe and List-Unsubscribe-Post for one recipient of a mail, CRLF at the end of each."""
        order = mail.order
        address = mail.recipients[index].address
        token = self.token(Subscription(order.account_id, order.profile, order.campaign, mail.mail_id, index, address))
        return (
            f"List-Unsubscribe: <{self._url}/u/{token}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        ).encode()

    def token(self, subscription: Subscription) -> str:
        """Return a token, different each time; letters, digits, "-" and "_"."""
        one = subscription
        named = [one.account_id, one.profile.value, one.campaign, one.mail_id, one.index, one.address]
        sealed = self._vault.seal(_PLACE, json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, token: str) -> Subscription:
        """Return whom a token names.

        Raises: NotFoundError("token_unknown"); UnavailableError("kek_missing").
        """
        if not _TOKEN.match(token):
            raise NotFoundError("token_unknown")
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            account_id, profile, campaign, mail_id, index, address = json.loads(self._vault.open(_PLACE, sealed))
        except (InternalError, binascii.Error) as error:
            raise NotFoundError("token_unknown") from error
        return Subscription(account_id, Profile(profile), campaign, mail_id, index, address)
