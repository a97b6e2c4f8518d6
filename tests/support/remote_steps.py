"""What a scripted mail server (remote_mta) can be told to do, and where in a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

# The steps of a conversation. CONTENT is the reply to the mail, after the final dot.
CONNECT: Final = "CONNECT"
EHLO: Final = "EHLO"
HELO: Final = "HELO"
STARTTLS: Final = "STARTTLS"
HANDSHAKE: Final = "HANDSHAKE"
MAIL: Final = "MAIL"
RCPT: Final = "RCPT"
DATA: Final = "DATA"
CONTENT: Final = "CONTENT"
RSET: Final = "RSET"
QUIT: Final = "QUIT"


@dataclass(frozen=True)
class Misdeed:
    """Something else than a reply; `seconds` of SLOW pass before the usual answer."""

    kind: str
    seconds: float = 0.0


# Closes the connection, in order or with a reset; never answers; HANDSHAKE only: answers the hello of TLS with noise.
DROP: Final = Misdeed("drop")
RESET: Final = Misdeed("reset")
SILENCE: Final = Misdeed("silence")
NOISE: Final = Misdeed("noise")


def slow(seconds: float) -> Misdeed:
    """Return the misdeed of a tarpit: each usual answer takes `seconds`."""
    return Misdeed("slow", seconds)


Step: TypeAlias = str | Misdeed
Script: TypeAlias = Step | Callable[[str], Step | None]


@dataclass
class Received:
    """A mail as it came. `connection` counts from 1, `tls` is the version ("" in clear), `content` without stuffing.

    `accepted` tells what this server did with it; a client whose reply was lost does not know.
    """

    connection: int
    hello: str
    tls: str
    mail_from: str
    options: Sequence[str]
    recipients: Sequence[str]
    content: bytes
    accepted: bool
