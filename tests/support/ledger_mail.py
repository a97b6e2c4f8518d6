"""The mails of the ledger test: each transaction has canaries of its own, and can be made again from its record.

All canaries of a run begin with one random token. So one short list of encodings of the token finds any of them in any
file, while what follows the token tells which transaction and which field it was. A transaction is one attempt: a mail
that is sent again is another transaction, so that copies are told apart by attempt.
"""

from __future__ import annotations

import base64
import json
import random
import re
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from libs.local.settings import MEMBER_DOMAIN, PUBLIC_DOMAIN

_DIGITS = "abcdefghijklmnopqrstuvwxy"
_END = "z"


class Shape(StrEnum):
    """What a mail looks like; each is a way in which bytes could change on the way."""

    PLAIN = "plain"
    DOTS = "dots"
    EIGHT_BIT = "eight_bit"
    LONG_LINES = "long_lines"
    ATTACHMENT = "attachment"
    NO_BODY = "no_body"
    LARGE = "large"


@dataclass(frozen=True)
class Run:
    """One run: its token, 16 letters, and where its client comes from."""

    token: str
    address: str
    member_domain: str = MEMBER_DOMAIN
    public_domain: str = PUBLIC_DOMAIN

    @classmethod
    def fresh(cls) -> Self:
        """Return a run with a random token and a random address of the loopback network as its client."""
        token = "".join(secrets.choice("bcdfghjklmnpqrstvwx") for _ in range(16))
        host = ".".join(str(100 + secrets.randbelow(150)) for _ in range(3))
        return cls(token, f"127.{host}")

    @property
    def hello(self) -> str:
        """What the client calls itself."""
        return f"{self.token}h.client.example"

    def canary(self, field: str, number: int) -> str:
        """Return the canary of one field ("b" body, "s" subject, "f" sender, ...) of one transaction."""
        return f"{self.token}{field}{_letters(number)}"

    def number_in(self, text: bytes, field: str = "b") -> int | None:
        """Return the number of the transaction whose canary of `field` comes first in `text`."""
        found = re.search(rf"{self.token}{field}([{_DIGITS}]+){_END}".encode(), text)
        return None if found is None else _number(found[1].decode())

    def sender(self, transaction: Transaction) -> str:
        """Return the address that a transaction is sent from."""
        return f"{self.canary('f', transaction.number)}@{self.token}d.example"

    def member(self, number: int) -> str:
        """Return the address of a member; its name is a canary too."""
        return f"{self.token}m{_letters(number)}@{self.member_domain}"

    def inbox(self, number: int) -> str:
        """Return the address of a public inbox."""
        return f"{self.token}p{_letters(number)}@{self.public_domain}"


@dataclass(frozen=True)
class Transaction:
    """One attempt to hand over one mail."""

    number: int
    mail: int
    shape: Shape
    size: int
    recipients: tuple[str, ...]

    @classmethod
    def from_json(cls, given: dict[str, object]) -> Transaction:
        """Return the transaction of a record."""
        fields = json.loads(json.dumps(given))
        return cls(
            fields["number"], fields["mail"], Shape(fields["shape"]), fields["size"], tuple(fields["recipients"])
        )

    def to_json(self) -> dict[str, object]:
        """Return it as a record."""
        return asdict(self)

    def sender(self, run: Run) -> str:
        """Return the reverse-path, also the From."""
        return run.sender(self)

    def subject(self, run: Run) -> str:
        """Return the subject."""
        return f"About {run.canary('s', self.number)} today"

    def content(self, run: Run) -> bytes:
        """Return the mail's bytes, CRLF lines, as they must be found again behind the trace fields."""
        head = [
            f"From: {run.canary('n', self.number)} <{self.sender(run)}>",
            f"To: {', '.join(f'<{one}>' for one in self.recipients)}",
            f"Subject: {self.subject(run)}",
            f"Message-ID: <{run.canary('i', self.number)}@{run.token}d.example>",
            "Date: Sun, 22 Nov 2026 17:00:00 +0000",
            f"X-Ledger: {run.canary('b', self.number)}",
        ]
        extra, body = _body(self.shape, run.canary("b", self.number), self.size)
        return "\r\n".join([*head, *extra, "", ""]).encode() + body


def _body(shape: Shape, canary: str, size: int) -> tuple[list[str], bytes]:
    """Return further header fields and the body."""
    if shape is Shape.NO_BODY:
        return [], b""
    if shape is Shape.ATTACHMENT:
        return _multipart(canary, size)
    if shape is Shape.EIGHT_BIT:
        line = f"Grüße von {canary}, größer als ASCII ☂"
        return ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"], (
            _repeat(line.encode(), size)
        )
    if shape is Shape.DOTS:
        return [], _repeat(f".\r\n..\r\n.{canary}\r\n...{canary}\r\n ".encode(), size)
    if shape is Shape.LONG_LINES:
        return [], _repeat((f"{canary} " * 30)[:900].encode(), size)
    return [], _repeat(f"Good morning, this is {canary} and nobody else's business.".encode(), size)


def _multipart(canary: str, size: int) -> tuple[list[str], bytes]:
    # Of the transaction alone, so that it can be made again; not compressible, so that sizes are what they say.
    noise = random.Random(canary).randbytes(max(64, size))
    parts = (
        f"--{canary}\r\nContent-Type: text/plain\r\n\r\nSee the file {canary}.\r\n",
        f"--{canary}\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{canary}.pdf"\r\n\r\n',
        base64.encodebytes(canary.encode() * 3 + noise).decode().replace("\n", "\r\n"),
        f"--{canary}--\r\n",
    )
    return ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{canary}"'], "".join(parts).encode()


def _repeat(line: bytes, size: int) -> bytes:
    return (line + b"\r\n") * max(1, size // (len(line) + 2))


def _letters(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text + _END


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * len(_DIGITS) + _DIGITS.index(letter)
    return number
