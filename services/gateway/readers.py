"""Who can read this: what is stored of one mail, in which form, who holds a key, which services saw what.

Each sentence says what the services do, not what they mean to do: tests/unit/gateway/test_readers.py compares the
list of fields with the documents that storage writes and the announcement that it publishes, and the day on which a
key ends with what ingest asks for. A sentence that a reader could take for more than is true is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from protos.storage.v1 import storage_pb2

_SEALED = {
    "envelope": (
        "sender, recipients, subject, date, the first 200 characters, names and sizes of attachments, "
        "and, of mail that came unsealed, what the checks of the sender found"
    ),
    "body": "the whole mail as it arrived or was written, attachments included",
}
_PLAIN = {
    "mailbox_id": "which mailbox it lies in: a number that no address can be computed from",
    "message_id": (
        "sorts the list: its first ten digits are the second of receipt, or that in which its sender sealed it by his "
        "own clock; the rest is random"
    ),
    "received_minute": "the minute in which it was received or kept, to show it and to delete it in time",
    "size": "its length in bytes, to count the quota; sealed where the sender sealed it",
    "body_size": "the length of the sealed mail, to hand it over in pieces",
    "folder": "inbox, sent, drafts, archive, junk, trash, or the number of a folder whose name is sealed",
    "flags": "whether it is seen, flagged, answered",
    "expires_at": "when it is deleted by itself, if ever",
    "scheme": "which format opens it, and whether its sender has sealed it or we have",
    "delivery": "if it went to several mailboxes here at once: a random number that the copies share",
    "announcement": (
        "mailbox_id, message_id, folder, the power of ten of the size and whether the mailbox is owned, "
        "for live updates; "
        "the event queue (NATS) keeps it for up to three days"
    ),
}
_MEMBER_KEY = "the fingerprint of the certificate it is sealed to, which anybody can ask for who knows the address"
_PUBLIC_KEY = "the number of the key of its domain and day"
_DAY = timedelta(days=1)
BY_SENDER = "openpgp-sender"
"""The scheme of what its sender's client has sealed: in form "openpgp", but nothing in it is the platform's word."""


@dataclass(frozen=True)
class Stored:
    """One stored field: its name, "sealed" or "plain", and what it is or why it is there."""

    field: str
    form: str
    why: str


@dataclass(frozen=True)
class KeyHolder:
    """Who can read the sealed fields, and how."""

    who: str
    how: str


@dataclass(frozen=True)
class Service:
    """What touched the mail: it saw "plaintext", "ciphertext" or "routing" (where it goes, not what it says)."""

    name: str
    saw: str
    when: str


@dataclass(frozen=True)
class Readers:
    """The whole answer; `expires` in Unix seconds, 0 for never."""

    stored: list[Stored]
    key_holders: list[KeyHolder]
    services: list[Service]
    expires: int
    deletion: str


_SENDER = KeyHolder(
    "the sender, and the mail servers on the way here",
    "they had it before it was sealed; what they keep is not in our hands",
)
_WRITER = KeyHolder("the sender", "who wrote it, and sealed it before it left his device")
_OTHERS = KeyHolder("whoever else it was sent to", "each has a copy of his own, sealed or not as it reached him")
_FORWARDED = KeyHolder(
    "whoever reads mail at the addresses that you had copies forwarded to when it came",
    "if there were any, and it came from outside: such copies go on open, and stay open there",
)
_INGEST = Service("ingest", "plaintext", "in memory only, from its arrival over SMTP until it was sealed and stored")
_ACCOUNTS = Service("accounts", "routing", "the recipient's address, when the mail arrived, to find the mailbox")
_DELIVERY = Service(
    "delivery",
    "plaintext",
    "if somebody here sent it, it is a report of ours, or copies of it are forwarded: in memory while it was brought "
    "to its recipients; in between it waited sealed, under a key that ended with the last of them",
)
_STORAGE = Service("storage", "ciphertext", "from then on, with the plain fields listed here")
_FETCHED = Service("gateway", "ciphertext", "whenever you, or a program with a key of yours, fetch it")
_DNS = Service("DNS servers", "routing", "the sender's domain, when the sender was checked, where DNS is reachable")
_SEALED_HERE = [
    _INGEST,
    _ACCOUNTS,
    _DELIVERY,
    Service("crypto", "plaintext", "in memory only, while it was sealed; it has no key to open it again"),
    _STORAGE,
    Service("gateway", "plaintext", "in memory only, if it was sent through the API, until delivery had it"),
    _FETCHED,
    _DNS,
]
_SEALED_BY_SENDER = [
    Service("gateway", "ciphertext", "when its sender's program, which had sealed it, handed it in"),
    _ACCOUNTS,
    Service("delivery", "routing", "that its sender wrote to one more recipient, to count against limits"),
    _STORAGE,
    _FETCHED,
]


def stored_fields(key: str) -> list[Stored]:
    """Return every field that is kept of a mail; `key` says what its key_id is."""
    sealed = [Stored(name, "sealed", why) for name, why in _SEALED.items()]
    return sealed + [Stored(name, "plain", why) for name, why in (_PLAIN | {"key_id": key}).items()]


def of_member(message: storage_pb2.Message) -> Readers:
    """Return who can read a member's mail."""
    by_sender = message.scheme == BY_SENDER
    return Readers(
        stored=stored_fields(_MEMBER_KEY),
        key_holders=[
            KeyHolder(
                f"the owner of OpenPGP key {message.key_id}",
                "with the private key. It is kept here wrapped under the password, and under the recovery code if "
                "there is one, and unwrapped in the browser only; an exported copy opens it anywhere",
            ),
            KeyHolder(
                "whoever learns the password or the recovery code",
                "or guesses it, or changes the page that it is typed into: choose a long one, and trust whoever "
                "runs this site",
            ),
            *([_WRITER] if by_sender else [_SENDER, _FORWARDED]),
            _OTHERS,
        ],
        services=_SEALED_BY_SENDER if by_sender else _SEALED_HERE,
        expires=message.expires_at,
        deletion=(
            "Deleting removes all of it from the database. Copies in backups stay sealed to the key; "
            "the announcement goes from the event queue within three days."
        ),
    )


def of_public(message: storage_pb2.Message) -> Readers:
    """Return who can read a mail in a public inbox: everybody."""
    return Readers(
        stored=stored_fields(_PUBLIC_KEY),
        key_holders=[
            KeyHolder("everybody", "by opening this public inbox: there is no password, and no account is needed"),
            KeyHolder(
                "whoever runs this installation",
                f"with key {message.key_id} of its domain and day, which this installation keeps until it is destroyed",
            ),
            _SENDER,
            _OTHERS,
        ],
        services=[
            _INGEST,
            _ACCOUNTS,
            _DELIVERY,
            Service("crypto", "plaintext", "in memory only, while it was sealed and whenever somebody looks at it"),
            _STORAGE,
            Service(
                "gateway",
                "plaintext",
                "in memory only, whenever somebody looks at it, and before if it was handed in through the API",
            ),
            _DNS,
        ],
        expires=message.expires_at,
        deletion=_public_deletion(message),
    )


def key_destroyed_after(message: storage_pb2.Message) -> datetime | None:
    """Return when the key of a public mail's day is destroyed, None if its mails never expire (UTC).

    A day after the last mail of the day can have expired; a key whose mails live longer by other rules may live longer.
    """
    received = message.received_minute * 60
    if not message.expires_at:
        return None
    midnight = datetime.fromtimestamp(received, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + _DAY + timedelta(seconds=message.expires_at - received) + _DAY


def _public_deletion(message: storage_pb2.Message) -> str:
    goes = "It goes when it expires, when newer mails push it out, or when anybody deletes it."
    destroyed = key_destroyed_after(message)
    if destroyed is None:
        return f"{goes} Its key is not destroyed, so copies in backups can be opened."
    return (
        f"{goes} Until {destroyed:%Y-%m-%d %H:%M} UTC a backup of it could still be opened here; then the key of its "
        "day is destroyed, and no copy can be opened by anybody who has not kept that key."
    )
