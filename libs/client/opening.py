"""Opens mails, and says of those that their sender has sealed who wrote them.

The certificate to check with is the one that the directory has for the sender that the envelope names. Only addresses
of this site's own domains are looked up: nobody else can have sealed such a mail, and looking for an address of a
stranger's domain would tell the stranger that his mail is being read.

What the platform sealed may be encrypted or signed inside once more, by somebody elsewhere (layers). It is opened too;
whose signature that is, is found out where the reader wants the sender's domain to be asked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.client import keys, layers, signatures
from libs.client.errors import ClientError, RefusedError
from libs.client.http import Http
from libs.client.model import Account, Json, Mail, mail_of, well_formed
from libs.client.sending import find_recipients

BY_SENDER = "openpgp-sender"


@dataclass(frozen=True)
class OpenedMail:
    """A mail as it was received or written. `signature` is a word of libs.client.signatures where its sender sealed
    it, or signed it elsewhere, "" where the platform did; `sender` the address that the word is about.

    `how` is layers.ENCRYPTED or SIGNED where there is a layer inside, and `inner` what stood in it, None if it does not
    open with this key. `askable`: nobody has asked the sender's domain for the key.
    """

    content: bytes
    sealed_by_sender: bool
    signature: str
    sender: str
    how: str = ""
    inner: bytes | None = None
    askable: bool = False


class Opener:
    """Opens with the key of one account, and remembers certificates while it lives."""

    def __init__(self, http: Http, account: Account, key: keys.PrivateKey) -> None:
        """Look certificates up by `http`."""
        self._http = http
        self._account = account
        self._key = key
        self._domains: set[str] | None = None
        # None: there is none.
        self._certificates: dict[str, bytes | None] = {account.address.lower(): key.certificate()}

    def mails(self, entries: Sequence[Json]) -> list[Mail]:
        """Return the mails of a list, their envelopes opened and, where a sender sealed them, checked."""
        mails = [mail_of(entry, self._envelope) for entry in entries]
        by_sender = [mail.scheme == BY_SENDER or _says_so(mail.envelope) for mail in mails]
        senders = [signatures.sender_of(mail.envelope) for mail, by in zip(mails, by_sender, strict=True) if by]
        self._look_up(senders)
        return [
            self._checked(mail, entry) if by else mail
            for mail, entry, by in zip(mails, entries, by_sender, strict=True)
        ]

    def mail(self, entry: Json, sealed: bytes, *, ask: bool = False) -> OpenedMail:
        """Return a mail, given its entry in a list and its sealed body. `ask`: the sender's domain, for his key.

        Raises: RefusedError("cannot_open").
        """
        (mail,) = self.mails([entry])
        sender = signatures.sender_of(mail.envelope)
        if not mail.sealed_by_sender:
            return self._layered(OpenedMail(self._key.open(sealed), False, "", sender), ask)
        opened = self._key.open_checked(sealed, self._certificates.get(sender))
        words = [mail.signature, opened.signature]
        word = signatures.judge(mail.envelope, opened.plaintext, words, self._account.address)
        return OpenedMail(opened.plaintext, True, word, sender)

    def _layered(self, mail: OpenedMail, ask: bool) -> OpenedMail:
        layer = layers.find(mail.content)
        if layer is None:
            return mail
        certificate = self._published(layer.sender, ask)
        try:
            if layer.how == layers.ENCRYPTED:
                opened = self._key.open_checked(layer.data, certificate)
            else:
                word = signatures.check_detached(layer.data, layer.signature, certificate)
                opened = signatures.Opened(layer.data, word)
        except (RefusedError, RuntimeError):
            # To another key, or not what it says.
            return replace(mail, how=layer.how)
        return replace(
            mail,
            signature=layers.agreed(opened.signature, opened.plaintext, layer.sender),
            sender=layer.sender,
            how=layer.how,
            inner=opened.plaintext,
            askable=certificate is None and not ask and not self._is_ours(layer.sender),
        )

    def _published(self, address: str, ask: bool) -> bytes | None:
        """Return the certificate that is published for an address, None where there is none or nobody may ask."""
        self._look_up([address])
        if address not in self._certificates and ask:
            try:
                (found,) = find_recipients(self._http, [address])
            except ClientError:
                # The mail opens all the same; what the directory gave out, or did not, checks nothing.
                return None
            self._certificates[address] = found.certificate if found.kind == "wkd" else None
        return self._certificates.get(address)

    def _checked(self, mail: Mail, entry: Json) -> Mail:
        if mail.envelope is None:
            return replace(mail, sealed_by_sender=True, signature=signatures.UNCHECKED)
        certificate = self._certificates.get(signatures.sender_of(mail.envelope))
        word = self._key.open_checked(_sealed(entry), certificate).signature
        if word == signatures.VERIFIED and not signatures.is_for(mail.envelope, self._account.address):
            word = signatures.MISMATCH
        return replace(mail, sealed_by_sender=True, signature=word)

    def _envelope(self, sealed: Any) -> Json | None:
        try:
            opened = json.loads(self._key.open(base64.b64decode(sealed, validate=True)))
        except (RefusedError, ValueError, RecursionError):
            # One that does not open is shown as such and hides none of the others.
            return None
        return opened if isinstance(opened, Mapping) else None

    def _look_up(self, senders: Sequence[str]) -> None:
        wanted = [one for one in dict.fromkeys(senders) if one not in self._certificates and self._is_ours(one)]
        if wanted:
            for found in find_recipients(self._http, wanted):
                self._certificates[found.address] = found.certificate if found.kind == "member" else None

    def _is_ours(self, address: str) -> bool:
        if self._domains is None:
            info: Json = self._http.call("GET", "/v1/info")
            with well_formed():
                self._domains = {str(domain).lower() for domain in info["member_domains"]}
            self._domains.add(self._account.address.rpartition("@")[2].lower())
        return address.rpartition("@")[2] in self._domains


def _says_so(envelope: Json | None) -> bool:
    return envelope is not None and envelope.get("sealed_by_sender") is True


def _sealed(entry: Json) -> bytes:
    with well_formed():
        return base64.b64decode(entry["envelope"], validate=True)
