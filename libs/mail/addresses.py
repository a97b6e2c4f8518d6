"""Reads the addresses of MAIL and RCPT, and the name of EHLO, by a grammar that cannot carry anything else.

aiosmtpd's reader (that of the email package) is slow, and takes comments, folding and control characters. What is read
here goes into trace fields and to other services, so only what the grammar of RFC 5321 4.1.2 (and RFC 6531 3.3 where
SMTPUTF8 was asked for) allows gets through; a source route is read and ignored (appendix C). Two liberties: dots may
stand anywhere in a local part, and underscores in a domain, for real senders have both.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_WIDE = r"\u00a1-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff"
_QUOTED = r'"(?:[ !#-\[\]-~WIDE]|\\[ -~])*"'
_LABEL = r"[A-Za-z0-9WIDE_](?:[A-Za-z0-9WIDE_-]{0,61}[A-Za-z0-9WIDE_])?"
_LITERAL = r"\[[A-Za-z0-9:.]{2,50}\]"
_MAILBOX = rf"(?P<local>[{_ATOM}WIDE.]+|{_QUOTED})@(?P<domain>{_LABEL}(?:\.{_LABEL})*|{_LITERAL})"
_ROUTE = rf"(?:@{_LABEL}(?:\.{_LABEL})*(?:,@{_LABEL}(?:\.{_LABEL})*)*:)?"
_PATH = rf" {{0,4}}<{_ROUTE}(?P<address>{_MAILBOX}|[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]|)>(?P<rest> .*)?\Z"

_ASCII_PATH = re.compile(_PATH.replace("WIDE", ""))
_WIDE_PATH = re.compile(_PATH.replace("WIDE", _WIDE))
_PARAMETER = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]{0,31})(?:=(?P<value>[!-<>-~]{1,500}))?\Z")
_HELLO = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?\.?|\[[A-Za-z0-9:.]{2,50}\])\Z")

_MAX_LOCAL = 64
_MAX_ADDRESS = 254


class Path(NamedTuple):
    """A reverse or forward path. `address` is "" for <>; `ascii` tells that it needs no SMTPUTF8."""

    address: str
    domain: str
    parameters: dict[str, str]
    ascii: bool


class PathError(Exception):
    """The argument of MAIL or RCPT is not what it must be; `kind` is "syntax" or "address"."""

    def __init__(self, kind: str) -> None:
        """Take the kind."""
        super().__init__(kind)
        self.kind = kind


def read_path(argument: str, keyword: str) -> Path:
    """Return the path in the argument of MAIL (`keyword` "FROM:") or RCPT ("TO:").

    Raises:
        PathError: no path ("syntax": wrong keyword, brackets, parameters; "address": the mailbox itself).
    """
    if argument[: len(keyword)].upper() != keyword:
        raise PathError("syntax")
    text = argument[len(keyword) :]
    plain = text.isascii()
    match = (_ASCII_PATH if plain else _WIDE_PATH).match(text)
    if match is None:
        raise PathError("address" if "<" in text and ">" in text else "syntax")
    address, local, domain, rest = match.group("address", "local", "domain", "rest")
    if len(address.encode()) > _MAX_ADDRESS or (local and len(local.encode()) > _MAX_LOCAL):
        raise PathError("address")
    return Path(address, domain or "", _parameters(rest or ""), plain)


def read_hello(argument: str) -> str | None:
    """Return the name that a client gives itself, a domain or an address literal (RFC 5321 4.1.1.1), or None."""
    return argument if _HELLO.match(argument) else None


def _parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in text.split():
        match = _PARAMETER.match(word)
        if match is None or match["name"].upper() in parameters:
            raise PathError("syntax")
        parameters[match["name"].upper()] = match["value"] or ""
    return parameters
