"""Reads who a mail says it is from, strictly: what may send is decided by it, and by what readers will show.

libs.mail reads leniently, which is right for mail that comes in. For mail that goes out it would be a hole: a field
that two programs read differently is how one account sends with the address of another. So only RFC 5322 3.4
mailbox-lists are taken, without groups, nested comments, routes and white space inside addresses; and a phrase that
holds an @ must be quoted. Text above ASCII is UTF-8 (RFC 6532). Linear: each character is looked at once.
"""

from __future__ import annotations

import re

import idna

from libs.mail.addresses import PathError, read_path
from libs.runtime.errors import InvalidError

MAX_AUTHORS = 50
_MAX_FIELD_BYTES = 8192

_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<comment>\((?:[^()\\]|\\.)*\))|<(?P<angle>[^<>]*)>|(?P<comma>,)'
    r'|(?P<run>[^\s"(),:;<>\[\]\\]+)|(?P<space>[ \t]+)',
    re.DOTALL,
)
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*\Z")


def read_authors(value: bytes) -> list[str]:
    """Return the addresses of a From, Sender, Resent-From or Resent-Sender field, 1 to 50, as they are written.

    Raises:
        InvalidError: "from_malformed".
    """
    if len(value) > _MAX_FIELD_BYTES:
        raise InvalidError("from_malformed")
    try:
        text = value.replace(b"\r\n", b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidError("from_malformed") from error
    authors = [_author(tokens) for tokens in _mailboxes(text)]
    if len(authors) > MAX_AUTHORS:
        raise InvalidError("from_malformed")
    return authors


def domain_of(address: str) -> str:
    """Return the domain of an address in lower-case A-labels.

    Raises:
        InvalidError: "from_malformed" where it is no domain name.
    """
    domain = address.rpartition("@")[2].lower()
    if not domain.isascii() and len(domain) <= 253:
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError as error:
            raise InvalidError("from_malformed") from error
    if not _HOST.match(domain):
        raise InvalidError("from_malformed")
    return domain


def _mailboxes(text: str) -> list[list[tuple[str, str]]]:
    """Return the tokens of each mailbox, comments left out; white space stays where it may matter."""
    found: list[list[tuple[str, str]]] = [[]]
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidError("from_malformed")
        kind = match.lastgroup or ""
        if kind == "comma":
            found.append([])
        else:
            found[-1].append((kind, match[kind]))
        position = match.end()
    return found


def _author(tokens: list[tuple[str, str]]) -> str:
    while tokens and tokens[-1][0] in ("space", "comment"):
        tokens.pop()
    words = [token for token in tokens if token[0] not in ("space", "comment")]
    if words and words[-1][0] == "angle":
        # In the phrase before it, an @ outside quotes would be taken for the address by some readers.
        if any(kind == "angle" or (kind == "run" and "@" in text) for kind, text in words[:-1]):
            raise InvalidError("from_malformed")
        return _address(words[-1][1])
    while tokens and tokens[0][0] in ("space", "comment"):
        tokens.pop(0)
    # What is left is the address itself, one run or a quoted string and a run that touch.
    if [kind for kind, _ in tokens] not in (["run"], ["quoted", "run"]):
        raise InvalidError("from_malformed")
    return _address("".join(text for _, text in tokens))


def _address(text: str) -> str:
    try:
        path = read_path(f"FROM:<{text}>", "FROM:")
    except PathError as error:
        raise InvalidError("from_malformed") from error
    # A route, <> and the bare postmaster are paths, but no addresses.
    if path.address != text or not path.domain:
        raise InvalidError("from_malformed")
    domain_of(text)
    return text
