"""Sends a letter: sealed to everybody who has a key, a copy for each, and open to others only if that was said.

Whoever has a key gets a message of his own, signed by us and encrypted to him alone: a message to several would name
them all by the ids of their keys, Bcc included. What goes open goes once, for all of them together. Nothing is sent
before it is known how it goes to each. What is sent has an id made here, so that asking again after a lost answer
sends nothing twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.client import keys
from libs.client.compose import Composed, Letter
from libs.client.errors import ClientError, RefusedError, UnreachableError
from libs.client.http import Http
from libs.client.model import Account, Json, Progress, well_formed
from libs.runtime.clock import Clock
from libs.runtime.ids import new_id, new_message_id

_MOST_ADDRESSES = 50
_ATTEMPTS = 3
_SEALED = frozenset({"member", "wkd"})


@dataclass(frozen=True)
class Recipient:
    """How mail to an address goes: kind "member", "wkd" (sealed to the certificate), "public", "open", "unknown"."""

    address: str
    kind: str
    certificate: bytes | None
    fingerprint: str | None

    @property
    def sealed(self) -> bool:
        """Whether the mail is sealed before it leaves this machine."""
        return self.kind in _SEALED


@dataclass
class Sent:
    """What became of a letter. `failed` has the reason for each address that it did not go to."""

    message_id: str
    recipients: Sequence[Recipient]
    failed: dict[str, ClientError] = field(default_factory=dict)


@dataclass(frozen=True)
class Sender:
    """Who sends: the account, its unlocked key, and the way to the site."""

    http: Http
    account: Account
    key: keys.PrivateKey
    clock: Clock
    progress: Progress

    def send(self, letter: Letter, found: Sequence[Recipient]) -> Sent:
        """Send `letter` to the recipients as they were found; keep a copy in "sent".

        Some may have got it when others have not (Sent.failed). Raises ClientError: nobody has.
        """
        _check(found)
        composed = Composed(letter, self.account.address, self.clock.now())
        sent = Sent(composed.message_id, found)
        jobs = [[one] for one in found if one.sealed]
        unsealed = [one for one in found if not one.sealed]
        for done, together in enumerate([*jobs, unsealed] if unsealed else jobs):
            self.progress("send", done, len(found))
            addresses = [one.address for one in together]
            try:
                # What is sent again is the same to the byte.
                _again(self._job(composed, together[0]) if together[0].sealed else self._open(composed, addresses))
            except ClientError as error:
                sent.failed |= dict.fromkeys(addresses, error)
        if len(sent.failed) == len(found):
            raise next(iter(sent.failed.values()))
        self._keep(composed, letter)
        self.progress("send", len(found), len(found))
        return sent

    def _job(self, composed: Composed, to: Recipient) -> Callable[[], object]:
        certificate = to.certificate or b""
        if to.kind == "member":
            header = {"to": to.address, "id": new_message_id(self.clock)}
            return self._append("/v1/outbox/sealed", header, composed, (certificate, to.address, composed.mail()))
        armoured = self.key.seal_armoured(composed.protected(), certificate)
        return self._submission([to.address], composed.around(armoured))

    def _open(self, composed: Composed, recipients: Sequence[str]) -> Callable[[], object]:
        return self._submission(recipients, composed.mail())

    def _submission(self, recipients: Sequence[str], mail: bytes) -> Callable[[], object]:
        content = _frame({"from": self.account.address, "recipients": list(recipients)}, mail)
        headers = {"Idempotency-Key": new_id()}
        return lambda: self.http.upload("/v1/send", content, headers)

    def _append(
        self, path: str, header: Mapping[str, object], composed: Composed, copy: tuple[bytes, str, bytes]
    ) -> Callable[[], object]:
        certificate, rcpt, mail = copy
        envelope = base64.b64encode(self.key.seal(composed.envelope(rcpt), certificate)).decode()
        content = _frame({**header, "envelope": envelope}, self.key.seal(mail, certificate))
        return lambda: self.http.upload(path, content, {})

    def _keep(self, composed: Composed, letter: Letter) -> None:
        header = {"id": new_message_id(self.clock), "folder": "sent"}
        copy = (self.key.certificate(), self.account.address, composed.mail(with_bcc=bool(letter.bcc)))
        _again(self._append("/v1/outbox/own", header, composed, copy))


def find_recipients(http: Http, addresses: Sequence[str]) -> list[Recipient]:
    """Return how mail to each of `addresses` goes, in order. Raises ClientError."""
    found: list[Recipient] = []
    for start in range(0, len(addresses), _MOST_ADDRESSES):
        wanted = list(addresses[start : start + _MOST_ADDRESSES])
        answer: Json = http.call("POST", "/v1/recipients", {"addresses": wanted})
        with well_formed():
            entries = [_recipient(entry) for entry in answer["recipients"]]
            if [entry.address for entry in entries] != wanted:
                raise ValueError
        found += entries
    return found


def _recipient(entry: Json) -> Recipient:
    given = entry["certificate"]
    certificate = base64.b64decode(given, validate=True) if given is not None else None
    fingerprint = str(entry["fingerprint"]) if entry["fingerprint"] is not None else None
    kind = str(entry["kind"])
    if (kind in _SEALED) != (certificate is not None):
        raise ValueError
    if certificate is not None:
        keys.check_certificate(certificate, fingerprint or "", str(entry["address"]) if kind == "wkd" else "")
    return Recipient(str(entry["address"]), kind, certificate, fingerprint)


def _check(found: Sequence[Recipient]) -> None:
    if not found:
        raise RefusedError("no_recipients", "the letter has no recipients")
    unknown = [one.address for one in found if one.kind == "unknown"]
    if unknown:
        raise RefusedError("recipient_unknown", f"nobody has this address here: {', '.join(unknown)}")


def _again(job: Callable[[], object]) -> None:
    """Do it, once more where the answer was lost: what has an id is not done twice."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            job()
            return
        except UnreachableError as error:
            if error.reason != "unreachable" or attempt == _ATTEMPTS:
                raise


def _frame(header: Mapping[str, object], body: bytes) -> bytes:
    head = json.dumps(header).encode()
    return len(head).to_bytes(4, "big") + head + body
