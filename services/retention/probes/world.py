"""What probes look at: the doors that everybody uses, and what data owners say of their own files.

A probe says that a clause does not hold by raising Broken with a stable word; whatever else goes wrong means that it
could not be found out. Every mark is fresh random letters, so whatever finds one has kept what this probe has said.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from libs.policy.model import Policy
from services.retention.domain.ports import DataOwner, Numbers
from services.retention.ledger.ledger import Ledger

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub

_LETTERS = string.ascii_lowercase + "234567"


class Broken(Exception):  # noqa: N818 - a finding, not a failure of the program
    """The clause does not hold; the text is a stable word."""


class UnknowableError(Exception):
    """It cannot be found out here; the text is a stable word."""


@dataclass(frozen=True)
class Answer:
    """An answer of the web door. Names of headers are lower case; a name may stand more than once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first value, "" if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return all values."""
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        """Return the body. Raises: UnknowableError where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnknowableError("answer") from error


class Web(Protocol):
    """The web door."""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, object] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer; `token` is that of a session. Raises: UnknowableError("web")."""


class Smtp(Protocol):
    """The door of mail from elsewhere."""

    async def send(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        """Hand one mail in, encrypted on the way; return the code of the reply. Raises: UnknowableError("smtp")."""


@dataclass(frozen=True)
class Person:
    """An account of the probes. `token` is that of a session just now."""

    address: str
    account_id: str
    token: str
    authentication_key: bytes
    wrapping_key: bytes
    password: str
    private_key: bytes
    fingerprint: str
    certificate: bytes


class People(Protocol):
    """The accounts of the probes."""

    async def of(self, profile: str) -> Person:
        """Return that of a profile, signed in. Raises: UnknowableError("no_account")."""


@dataclass(frozen=True)
class World:
    """Everything that a probe may ask."""

    web: Web
    smtp: Smtp
    people: People
    owners: Mapping[str, DataOwner]
    accounts: AccountsAsyncStub
    delivery: DeliveryAsyncStub
    numbers: Numbers
    policy: Policy
    ledger: Ledger
    # Trusted time, Unix seconds.
    now: int
    timeout: float = 10.0

    async def traces(self, *marks: str | bytes) -> dict[str, int]:
        """Return in which services' files one of `marks` stands, in whatever encoding, and how often."""
        needles = [needle for mark in marks for needle in encodings(mark)]
        found = {}
        for name, owner in self.owners.items():
            total = 0
            for start in range(0, len(needles), 64):
                counts, _ = await owner.traces(needles[start : start + 64])
                total += sum(counts)
            if total:
                found[name] = total
        return found

    async def searched(self) -> int:
        """Return how many bytes of files a search goes through; 0 where none can be read."""
        return sum([(await owner.traces([secrets.token_bytes(16)]))[1] for owner in self.owners.values()])


def mark() -> str:
    """Return 24 letters that nobody has ever written."""
    return "".join(secrets.choice(_LETTERS) for _ in range(24))


def encodings(text: str | bytes) -> list[bytes]:
    """Return how `text` may stand in a file: as it is, as hexadecimal digits, in UTF-16, in base64 at each offset."""
    raw = text.encode() if isinstance(text, str) else text
    found = [raw, raw.hex().encode()]
    if isinstance(text, str):
        found.append(text.encode("utf-16-le"))
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + raw)
        # What depends on the bytes before and after is left out.
        found.append(coded[4 if offset else 0 : len(coded) - 4])
    return [needle[:64] for needle in found if len(needle) >= 8]
