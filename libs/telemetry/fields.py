"""The closed list of what a log line or a span may say, and the shape of each.

What is not here cannot be logged: no address, no subject, no host or IP of a user, no account, mailbox or message id
(a pseudonym of one person is still about one person), no text of an exception. What is here is a number, a word of
ours, or an id that belongs to a process and not to a person. A new field is added here, in the group that says why it
names nobody.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import TypeAlias

Check: TypeAlias = Callable[[object], bool]

SERVICES = frozenset(
    "ingest crypto storage accounts delivery bridge mailing billing analytics retention gateway platform".split()
)


def number(value: object) -> bool:
    """Tell whether it is a finite int or float."""
    kind = type(value)
    return kind is int or kind is bool or (kind is float and math.isfinite(value))  # type: ignore[arg-type]


def text(pattern: str) -> Check:
    """Return a check for strings that match all of `pattern`."""
    match = re.compile(pattern + r"\Z", re.ASCII).match
    return lambda value: isinstance(value, str) and match(value) is not None


def one_of(values: Collection[str]) -> Check:
    """Return a check for a vocabulary."""
    return lambda value: isinstance(value, str) and value in values


word = text(r"[a-z][a-z0-9_]{0,63}")
name = text(r"[a-z][a-z0-9_-]{0,63}")

FIELDS: dict[str, Check] = {
    # Amounts: how much, how many, how long.
    "attempt": number,
    "attempts": number,
    "bytes": number,
    "capacity": number,
    "count": number,
    "created": number,
    "deleted": number,
    "exit_code": number,
    "failed": number,
    "items": number,
    "limit": number,
    "messages": number,
    "milliseconds": number,
    "minutes": number,
    "pending": number,
    "queued": number,
    "recipients": number,
    "seconds": number,
    "sessions": number,
    "status": number,
    "suppressed": number,
    # The process and its parts.
    "caller": one_of(SERVICES),
    "check": name,
    "enabled": number,
    "listener": name,
    "peer": one_of(SERVICES),
    "pid": number,
    "port": number,
    "service": one_of(SERVICES),
    "setting": text(r"SEALPOST_[A-Z0-9_]{1,80}"),
    "signal": one_of({"SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"}),
    "state": word,
    "task": name,
    "version": text(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}"),
    "worker": number,
    # Outcomes: words that the code chose.
    "action": word,
    "kind": word,
    "outcome": word,
    "profile": one_of({"guest", "sealed", "public", "mailing", "relay"}),
    "reason": word,
    "size_class": word,
    "stage": word,
    # Persistence and events.
    "collection": name,
    "consumer": name,
    "engine": one_of({"sqlite", "mongodb"}),
    "event_type": text(r"[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,4}"),
    "index": name,
    "stream": text(r"[A-Za-z][A-Za-z0-9_-]{0,63}"),
    # RPC and HTTP: names from our own definitions. `route` is the template, "/v1/messages/{id}", never the path.
    "grpc_status": text(r"[A-Z][A-Z_]{0,31}"),
    "http_method": one_of({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}),
    "method": text(r"[A-Za-z][A-Za-z0-9_.]{0,99}/?[A-Za-z0-9_]{0,60}"),
    "route": text(r"/[a-z0-9_./{}-]{0,99}"),
    "smtp_code": number,
    "smtp_command": one_of(
        {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "STARTTLS", "AUTH"}
    ),
    # Faults: class names and places in our code.
    "at": text(r"[a-z0-9_./-]{1,150}\.py:[0-9]{1,6}"),
    "cause": text(r"[A-Za-z_][A-Za-z0-9_.]{0,99}"),
    "error": text(r"[A-Za-z_][A-Za-z0-9_.]{0,99}"),
    "foreign": text(r"[A-Za-z_][A-Za-z0-9_.]{0,60}"),
    # Of one operation of the machines: random, and kept nowhere beside a person.
    "event_id": text(r"[0-9a-f]{32}"),
    "trace_id": text(r"[0-9a-f]{32}"),
}
