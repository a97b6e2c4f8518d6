"""What a mailbox holds, and the rules for it: which deliveries are accepted, folders, flags, the place in a list.

Everything here is sealed or opaque: the rules look at ids, sizes and times, never at content. Rules that depend on what
is stored (quota, idempotency, all or none) are in the modules that store it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id

INBOX = "inbox"
SYSTEM_FOLDERS = (INBOX, "sent", "drafts", "archive", "junk", "trash")
FLAGS: Mapping[str, int] = {"seen": 1, "flagged": 2, "answered": 4}
SEEN = FLAGS["seen"]

MAX_RECIPIENTS = 1000
MAX_ENVELOPE_BYTES = 32 * 1024
MAX_APPENDED_BODY_BYTES = 1024 * 1024
MAX_IDS = 200
MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_FOLDERS = 200
MAX_FOLDER_NAME_BYTES = 1024
OBJECTS = ("contacts", "settings")
MAX_OBJECT_BYTES = 256 * 1024

OPERATION_SECONDS = 30
"""No change takes longer than this from its first write to its last: what is older was cut off (see recount.py)."""

STAGE_SECONDS = 900
"""How long a body may take to come."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_SCHEME = re.compile(r"[a-z0-9-]{1,32}\Z", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9_.:-]{0,128}\Z", re.ASCII)
_FOLDER = re.compile(r"[a-z0-9]{1,32}\Z", re.ASCII)
_CURSOR_VERSION = b"\x01"
_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One copy to be stored; fields and units as in protos/storage/v1, `flags` as bits of FLAGS."""

    mailbox_id: str
    message_id: str
    received_minute: int
    size: int
    scheme: str
    envelope: bytes
    body: bytes = b""
    body_staged: bool = False
    folder: str = INBOX
    expires_at: int = 0
    key_id: str = ""
    quota_bytes: int = 0
    quota_messages: int = 0
    keep_newest: int = 0
    flags: int = 0

    @property
    def counted(self) -> bool:
        """Whether it weighs on the counters of its mailbox.

        A disposable inbox is bounded by the number of messages it keeps. Counting would add a commit to each of its
        mails and leave a document behind for every address that anybody ever made up; what it holds is counted when
        somebody asks.
        """
        return self.keep_newest == 0 or self.quota_bytes > 0 or self.quota_messages > 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """The copies of one mail: all are stored, or none."""

    delivery_id: str
    messages: tuple[NewMessage, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message without its body; fields and units as in protos/storage/v1."""

    mailbox_id: str
    message_id: str
    received_minute: int
    size: int
    folder: str
    flags: tuple[str, ...]
    expires_at: int
    scheme: str
    key_id: str
    envelope: bytes
    body_size: int


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list; the cursor is empty on the last one."""

    messages: list[Message]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what it holds; the name is sealed by the client, empty for those of the system."""

    folder_id: str
    sealed_name: bytes
    messages: int
    unseen: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What a mailbox holds."""

    used_bytes: int
    used_messages: int
    folders: list[Folder]


@dataclass(frozen=True, slots=True)
class Object:
    """What an owner keeps beside mail, sealed by his client; empty and of version 0 where there is none yet."""

    sealed: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to messages: bits of FLAGS to set and to clear, and a folder to move to ("": stay)."""

    add: int = 0
    remove: int = 0
    move_to: str = ""


def check_delivery(delivery: Delivery) -> None:
    """Raise InvalidError unless `delivery` can be stored as it is, whatever the mailboxes hold."""
    if not is_name(delivery.delivery_id):
        raise InvalidError("delivery_id")
    if not 1 <= len(delivery.messages) <= MAX_RECIPIENTS:
        raise InvalidError("recipients")
    for message in delivery.messages:
        _check_message(message)
    if len({(message.mailbox_id, message.message_id) for message in delivery.messages}) < len(delivery.messages):
        raise InvalidError("duplicate_copy")


def _check_message(message: NewMessage) -> None:
    amounts = (
        message.received_minute,
        message.size,
        message.expires_at,
        message.quota_bytes,
        message.quota_messages,
        message.keep_newest,
    )
    checks = (
        ("mailbox_id", is_name(message.mailbox_id)),
        ("message_id", is_id(message.message_id)),
        ("folder", is_folder_id(message.folder)),
        ("amount", all(0 <= amount < _LARGEST for amount in amounts)),
        ("flag", 0 <= message.flags <= sum(FLAGS.values())),
        ("scheme", _SCHEME.match(message.scheme) is not None),
        ("key_id", _KEY_ID.match(message.key_id) is not None),
        ("envelope", 0 < len(message.envelope) <= MAX_ENVELOPE_BYTES),
        ("body", len(message.body) <= MAX_APPENDED_BODY_BYTES and bool(message.body) != message.body_staged),
    )
    for reason, holds in checks:
        if not holds:
            raise InvalidError(reason)


def check_page_size(limit: int) -> int:
    """Return how many messages a page has; 0 asks for the default. Raises: InvalidError("limit")."""
    if not 0 <= limit <= MAX_PAGE:
        raise InvalidError("limit")
    return limit or DEFAULT_PAGE


def check_folder_name(sealed_name: bytes) -> None:
    """Raise InvalidError unless a folder may be called that."""
    if not 1 <= len(sealed_name) <= MAX_FOLDER_NAME_BYTES:
        raise InvalidError("sealed_name")


def check_object(mailbox_id: str, name: str) -> None:
    """Raise InvalidError unless the two may name an object."""
    check_mailbox(mailbox_id)
    if name not in OBJECTS:
        raise InvalidError("object")


def check_mailbox(mailbox_id: str) -> None:
    """Raise InvalidError unless `mailbox_id` may name a mailbox."""
    if not is_name(mailbox_id):
        raise InvalidError("mailbox_id")


def check_message_id(mailbox_id: str, message_id: str) -> None:
    """Raise InvalidError unless the two may name a message."""
    check_mailbox(mailbox_id)
    if not is_id(message_id):
        raise InvalidError("message_id")


def is_name(text: str) -> bool:
    """Tell whether `text` may name a mailbox or a delivery."""
    return _NAME.match(text) is not None


def is_folder_id(text: str) -> bool:
    """Tell whether `text` has the form of a folder's id."""
    return _FOLDER.match(text) is not None


def flag_bits(names: Iterable[str]) -> int:
    """Return the bits of `names`. Raises: InvalidError("flag") for one that is not of FLAGS."""
    bits = 0
    for name in names:
        if name not in FLAGS:
            raise InvalidError("flag")
        bits |= FLAGS[name]
    return bits


def flag_names(bits: int) -> tuple[str, ...]:
    """Return the names of the flags set in `bits`."""
    return tuple(name for name, bit in FLAGS.items() if bits & bit)


def encode_cursor(message_id: str) -> str:
    """Return the cursor of the page that begins after this message."""
    return base64.urlsafe_b64encode(_CURSOR_VERSION + bytes.fromhex(message_id)).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> str:
    """Return the message id in `cursor`, which may be of a message that is gone. Raises: InvalidError("cursor")."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidError("cursor") from None
    message_id = raw[1:].hex()
    if raw[:1] != _CURSOR_VERSION or not is_id(message_id) or encode_cursor(message_id) != cursor:
        raise InvalidError("cursor")
    return message_id
