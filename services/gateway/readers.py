"""Who can read this: what is stored of one mail, in which form, who holds a key, which services saw what.

The lists follow from the construction (docs/architecture.md, "Formats"); tests compare the field names with what
storage really returns, so that a new field cannot be forgotten here.
"""

from __future__ import annotations

from dataclasses import dataclass

from protos.storage.v1 import storage_pb2

_PLAIN = {
    "mailbox_id": "an opaque number: which mailbox it belongs to",
    "message_id": "an opaque number that sorts by time of receipt",
    "received_minute": "to show and to expire it in time",
    "size": "to count the quota",
    "folder": "a word such as inbox, or an opaque number",
    "flags": "seen, flagged, answered",
    "expires_at": "to delete it in time",
    "scheme": "which format opens it",
    "key_id": "which key opens it",
    "body_size": "to hand it over in blocks",
}
_SEALED = {
    "envelope": "sender, recipients, subject, date, preview, names of attachments",
    "body": "the whole mail, attachments included",
}


@dataclass(frozen=True)
class Stored:
    """One stored field: its name, "sealed" or "plain", and why it is there."""

    field: str
    form: str
    why: str


@dataclass(frozen=True)
class KeyHolder:
    """Who can open the sealed fields, and how."""

    who: str
    how: str


@dataclass(frozen=True)
class Service:
    """A service that touched the mail: it saw "plaintext", "ciphertext" or "routing" (the address only)."""

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


def stored_fields() -> list[Stored]:
    """Return every field that is kept of a mail."""
    plain = [Stored(name, "plain", why) for name, why in _PLAIN.items()]
    return [Stored(name, "sealed", why) for name, why in _SEALED.items()] + plain


def of_member(message: storage_pb2.Message) -> Readers:
    """Return who can read a member's mail."""
    return Readers(
        stored=stored_fields(),
        key_holders=[
            KeyHolder(
                f"the owner of OpenPGP key {message.key_id}",
                "with the private key, which is unlocked by the password, in the browser only; "
                "with the recovery code, if one was made; with an exported copy of the key",
            )
        ],
        services=[
            Service("ingest", "plaintext", "in memory, from the sender's connection until it was sealed"),
            Service("accounts", "routing", "the recipient's address, to find the mailbox"),
            Service("crypto", "plaintext", "in memory, while it was sealed"),
            Service("storage", "ciphertext", "from then on"),
            Service("gateway", "ciphertext", "whenever you read it"),
        ],
        expires=message.expires_at,
        deletion="Deleting removes every field from the database; copies in backups stay sealed to the owner's key.",
    )


def of_public(message: storage_pb2.Message) -> Readers:
    """Return who can read a mail in a public inbox: everybody."""
    return Readers(
        stored=stored_fields(),
        key_holders=[
            KeyHolder("everybody", "by opening this public inbox; there is no password"),
            KeyHolder(
                "this installation", f"with data key {message.key_id} of its domain and day, until it is destroyed"
            ),
        ],
        services=[
            Service("ingest", "plaintext", "in memory, from the sender's connection until it was sealed"),
            Service("accounts", "routing", "the recipient's address, to find the inbox"),
            Service("crypto", "plaintext", "in memory, while it was sealed and whenever it is opened"),
            Service("storage", "ciphertext", "from then on"),
            Service("gateway", "plaintext", "in memory, whenever somebody reads it"),
        ],
        expires=message.expires_at,
        deletion="It disappears when it expires or newer mails push it out; then the day's key is destroyed.",
    )
