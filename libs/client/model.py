"""What the client library returns, and how it is read from the server's JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from libs.client.errors import UnreachableError
from libs.client.keys import Kdf
from libs.runtime.secret import Secret

Json = Mapping[str, Any]


class Progress(Protocol):
    """Is told what takes long."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`stage` is "derive", "list", "download" or "send"; `done` of `total` (None: not known) of them."""


@dataclass(frozen=True)
class Account:
    """An account as the server describes it."""

    id: str
    address: str
    fingerprint: str
    kdf: Kdf
    wrapped_private_key: bytes
    has_recovery: bool


@dataclass(frozen=True)
class Mail:
    """One mail of a list. `envelope` is the opened JSON (docs/architecture.md), None if it does not open.

    Times are RFC 3339, `size` in bytes as received. `signature` is a word of libs.client.signatures where the sender
    has sealed the mail, "" elsewhere.
    """

    id: str
    received: str
    size: int
    folder: str
    flags: tuple[str, ...]
    expires: str | None
    envelope: Json | None
    scheme: str = ""
    sealed_by_sender: bool = False
    signature: str = ""


@dataclass(frozen=True)
class SignedUp:
    """A new account, and its recovery code if one was asked for: shown once, kept nowhere."""

    account: Account
    recovery_code: Secret[str] | None


@dataclass(frozen=True)
class PublicInbox:
    """A public inbox: what must be said about it, and its mails, newest first."""

    notice: str
    mails: Sequence[Mail]


@contextmanager
def well_formed() -> Iterator[None]:
    """Turn a missing or odd field of an answer into UnreachableError("answer")."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreachableError("answer", "the answer is not that of a sealpost") from error


def account_of(answer: Json) -> Account:
    """Return the account of an answer. Raises UnreachableError, RefusedError("kdf_parameters")."""
    with well_formed():
        given = answer["account"]
        return Account(
            str(given["id"]),
            str(given["address"]),
            str(given["fingerprint"]),
            Kdf.from_json(given["kdf"]),
            base64.b64decode(given["wrapped_private_key"], validate=True),
            bool(given["has_recovery"]),
        )


def mail_of(given: Json, envelope: Callable[[Any], Json | None]) -> Mail:
    """Return one mail of an answer; `envelope` reads its envelope. Raises UnreachableError."""
    with well_formed():
        expires = given["expires"]
        return Mail(
            str(given["id"]),
            str(given["received"]),
            int(given["size"]),
            str(given["folder"]),
            tuple(str(flag) for flag in given["flags"]),
            None if expires is None else str(expires),
            envelope(given["envelope"]),
            str(given["scheme"]),
        )
