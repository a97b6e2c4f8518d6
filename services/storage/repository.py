"""The documents that storage keeps, and how messages look in them.

A message is one document, small body included, and takes part in exactly the indexes it needs:

    listed       mailbox, listed           all of a mailbox in order of receipt (ids sort by time)
    in_folder    mailbox, shelf, listed    the same for one folder; not for disposable inboxes
    free_expiry, counted_expiry            only what expires; see expiry.py for why there are two
    expiring     mailbox, counted_expiry   the same of one mailbox: what has expired is not counted as held
    settling     settle_at                 only what is not an ordinary message: staged copies and tombstones
    waiting      waiting, settle_at        the same of one mailbox, for its erasure

The field `listed` is the message id while the message is to be seen and absent while it is not. An index does not hold
documents that lack one of its fields, so a staged copy or a tombstone is in no list, and no reader has to filter.
A mail to one member is thus one row and two index entries, besides its key and its event, and so is one to a disposable
inbox: that holds few messages and is hardly ever asked for one folder, so `shelf`, the folder as the index knows it, is
absent there. Each index is one more page to read, write and overwrite when a message comes and when it goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

from libs.docstore.store import Body, Collection, Document, Event, Index, Insert, Patch, Store, Value
from libs.owner.terms import TERMS
from protos.events.v1.events_pb2 import MailStored, SizeClass
from services.storage.domain import Message, NewMessage, flag_names
from services.storage.erased import ERASED

MESSAGES = Collection(
    "message",
    (
        Index("listed", ("mailbox", "listed")),
        Index("in_folder", ("mailbox", "shelf", "listed")),
        Index("free_expiry", ("free_expiry",)),
        Index("counted_expiry", ("counted_expiry",)),
        Index("expiring", ("mailbox", "counted_expiry")),
        Index("settling", ("settle_at",)),
        Index("waiting", ("waiting", "settle_at")),
    ),
    fields=(
        *("mailbox", "message", "minute", "size", "flags", "counted", "scheme", "key_id", "envelope", "body_size"),
        *("folder", "shelf", "body_id", "body", "expires_at", "listed", "free_expiry", "counted_expiry"),
        *("delivery", "settle_at", "waiting", "gone"),
    ),
)
DELIVERIES = Collection("delivery", (Index("due", ("due",)),), fields=("state", "copies", "same", "due"))
# `m_` and `u_` stand for messages and unseen ones of each folder.
USAGE = Collection(
    "usage",
    (Index("check_at", ("check_at",)),),
    fields=("bytes", "messages", "m_", "u_", "check_at", "checked", "counted_at"),
)
FOLDERS = Collection("folder", (Index("work_at", ("work_at",)),), fields=("names", "closing", "work_at"))
BODIES = Collection(
    "body",
    (Index("due", ("due",)), Index("message", ("message",)), Index("mailbox", ("mailbox",))),
    fields=("message", "mailbox", "due", "ready", "size"),
)
CHUNKS = Collection("chunk", (Index("body", ("body", "number")),), fields=("body", "number", "data"))
# What owners keep beside mail: contacts for as long as there is a mailbox, settings until they are not used any more.
CONTACTS = Collection("object", fields=("sealed", "revision"))
SETTINGS = Collection(
    "settings", (Index("touched", ("terms", "touched")),), fields=("sealed", "revision", "terms", "touched")
)

COLLECTIONS = (MESSAGES, DELIVERIES, USAGE, FOLDERS, BODIES, CHUNKS, CONTACTS, SETTINGS, ERASED, TERMS)

_READ = 1000

STORED_SUBJECT = "mail.stored.v1"
_SIZE_CLASSES = (
    (10_000, SizeClass.SIZE_CLASS_UP_TO_10_KB),
    (100_000, SizeClass.SIZE_CLASS_UP_TO_100_KB),
    (1_000_000, SizeClass.SIZE_CLASS_UP_TO_1_MB),
    (10_000_000, SizeClass.SIZE_CLASS_UP_TO_10_MB),
)


def message_key(mailbox_id: str, message_id: str) -> str:
    """Return the key of a message: whoever asks for another mailbox's message asks for a key that does not exist.

    The id, which sorts by time, comes first: mails come and go in that order, so those of one moment share pages of the
    keys' index. With the mailbox first, each would write a page of its own.
    """
    return f"{message_id}/{mailbox_id}"


def mailbox_of(message_key: str) -> str:
    """Return the mailbox of a message, by its key."""
    return message_key.partition("/")[2]


def new_fields(message: NewMessage, folder: str, body_id: str, body_size: int) -> dict[str, Value]:
    """Return the document of `message`, in no list yet; `body_id` is empty where the body lies in it."""
    fields: dict[str, Value] = {
        "mailbox": message.mailbox_id,
        "message": message.message_id,
        "minute": message.received_minute,
        "size": message.size,
        "flags": message.flags,
        "counted": message.counted,
        "scheme": message.scheme,
        "key_id": message.key_id,
        "envelope": message.envelope,
        "body_size": body_size,
    }
    fields |= placed(fields, folder)
    if body_id:
        fields["body_id"] = body_id
    else:
        fields["body"] = message.body
    if message.expires_at:
        fields["expires_at"] = message.expires_at
    return fields


def placed(fields: Body, folder: str) -> dict[str, Value]:
    """Return the fields that put the document `fields` into a folder."""
    return {"folder": folder, "shelf": folder} if fields["counted"] else {"folder": folder}


def shown(fields: Body) -> dict[str, Value]:
    """Return the fields that put the document `fields` into its lists and its expiry index."""
    index: dict[str, Value] = {"listed": fields["message"]}
    if "expires_at" in fields:
        index["counted_expiry" if fields["counted"] else "free_expiry"] = fields["expires_at"]
    return index


def insert_shown(key: str, fields: Body) -> Insert:
    """Return the operation that stores a message for all to see, announcement included."""
    return Insert(MESSAGES, key, {**fields, **shown(fields)}, (stored_event(fields),))


def insert_staged(key: str, fields: Body, delivery_id: str, settle_at: int) -> Insert:
    """Return the operation that stores a copy nobody sees; from `settle_at` on it is looked after by recovery."""
    staged: Body = {"delivery": delivery_id, "settle_at": settle_at, "waiting": fields["mailbox"]}
    return Insert(MESSAGES, key, {**fields, **staged})


def reveal(key: str, fields: Body) -> Patch:
    """Return the operation that shows a staged copy and announces it; it fails by ConflictError the second time."""
    shows = {**shown(fields), "settle_at": None, "waiting": None}
    return Patch(MESSAGES, key, shows, version=1, events=(stored_event(fields),))


def stored_event(fields: Body) -> Event:
    """Return the announcement of a message; its id is the same whenever it is made."""
    mailbox_id, message_id = text(fields, "mailbox"), text(fields, "message")
    size = number(fields, "size")
    payload = MailStored(
        mailbox_id=mailbox_id,
        message_id=message_id,
        folder=text(fields, "folder"),
        size_class=next((name for limit, name in _SIZE_CLASSES if size <= limit), SizeClass.SIZE_CLASS_OVER_10_MB),
        owned=bool(fields["counted"]),
    )
    event_id = hashlib.sha256(message_key(mailbox_id, message_id).encode()).hexdigest()[:32]
    return Event(event_id, STORED_SUBJECT, payload.SerializeToString())


def is_shown(document: Document | None, now: int) -> bool:
    """Tell whether a reader sees the document at Unix time `now`: it is listed, and has not expired."""
    if document is None or document.body.get("listed") is None:
        return False
    expires_at = number(document.body, "expires_at")
    return expires_at == 0 or expires_at > now


def to_message(fields: Body) -> Message:
    """Return the message in a document."""
    return Message(
        mailbox_id=text(fields, "mailbox"),
        message_id=text(fields, "message"),
        received_minute=number(fields, "minute"),
        size=number(fields, "size"),
        folder=text(fields, "folder"),
        flags=flag_names(number(fields, "flags")),
        expires_at=number(fields, "expires_at"),
        scheme=text(fields, "scheme"),
        key_id=text(fields, "key_id"),
        envelope=cast(bytes, fields["envelope"]),
        body_size=number(fields, "body_size"),
    )


async def read_all(store: Store, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
    """Return those of any number of documents that exist, by key."""
    found: dict[str, Document] = {}
    for start in range(0, len(keys), _READ):
        found.update(await store.get_many(collection, keys[start : start + _READ]))
    return found


def text(fields: Body, name: str) -> str:
    """Return a text field, "" where absent."""
    return cast(str, fields.get(name) or "")


def number(fields: Body, name: str) -> int:
    """Return an integer field, 0 where absent."""
    return cast(int, fields.get(name) or 0)


def mapping(fields: Body, name: str) -> Mapping[str, Value]:
    """Return a field that is a document itself, empty where absent."""
    return cast("Mapping[str, Value]", fields.get(name) or {})
