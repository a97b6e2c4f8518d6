"""A batch under way: what append.py knows of each delivery and of each copy from one step to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from libs.docstore.store import Body
from libs.runtime.errors import SealpostError
from services.storage.domain import Delivery, NewMessage, check_delivery
from services.storage.repository import message_key


class Held(Enum):
    """What became of the reservation of one copy."""

    NONE = 0
    SPARE = 1  # reserved; no document stands for it, unless this attempt inserted one
    UNSURE = 2  # reserved; the insert was cut off, and may have happened or happen yet


@dataclass(slots=True, eq=False)
class Copy:
    """One copy, the document it becomes, and what this attempt has written for it."""

    message: NewMessage
    key: str
    fields: Body = field(default_factory=dict)
    body_id: str = ""
    held: Held = Held.NONE
    inserted: bool = False


@dataclass(slots=True, eq=False)
class Work:
    """One delivery; `error` is set when it has failed."""

    delivery: Delivery
    copies: list[Copy]
    error: SealpostError | None = None
    # Decided and durable, by this attempt or an earlier one: nothing that happens later makes it a failure.
    stored: bool = False

    @property
    def single(self) -> bool:
        """Whether there is one recipient only."""
        return len(self.copies) == 1

    @property
    def keys(self) -> list[str]:
        """The keys of its copies."""
        return [copy.key for copy in self.copies]


def admit(delivery: Delivery) -> Work:
    """Take a delivery on, with its error if it cannot be stored by any means."""
    work = Work(delivery, [Copy(m, message_key(m.mailbox_id, m.message_id)) for m in delivery.messages])
    try:
        check_delivery(delivery)
    except SealpostError as error:
        work.error = error
    return work


def still_open(works: Iterable[Work]) -> list[Work]:
    """Return what is neither stored nor failed yet."""
    return [work for work in works if work.error is None and not work.stored]


def copies_of(works: Iterable[Work]) -> Iterator[Copy]:
    """Yield the copies of all deliveries."""
    return (copy for work in works for copy in work.copies)


def turn(wanted: Iterable[tuple[Work, Copy]], held: Held) -> None:
    """Change what is known of all reservations among `wanted`."""
    for _, copy in wanted:
        if copy.held is not Held.NONE:
            copy.held = held
