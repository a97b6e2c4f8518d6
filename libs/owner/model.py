"""What a service says about one data class that it owns.

A service hands `Owner` (owner.py) one HeldClass for each class of libs/policy/classes/<service>.yaml. Everything works
in bounded steps that may be repeated at any time, for whoever asks may die between any two of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Subject:
    """Whose data it is about; `mailbox_id` is empty where the account has none."""

    account_id: str
    mailbox_id: str = ""


@dataclass(frozen=True)
class Count:
    """How much there is. `first_due`: when the first item's time is over, in Unix seconds, 0 where none has one."""

    count: int
    at_least: bool = False
    first_due: int = 0
    erasing: int = 0


@dataclass(frozen=True)
class Swept:
    """What one sweep did; `more`: items are left whose time is over."""

    deleted: int
    more: bool = False


@dataclass(frozen=True)
class Erased:
    """What one step of an erasure did. `keys` of the deleted were keys; `kept` are those that law keeps until a day."""

    deleted: int = 0
    keys: int = 0
    more: bool = False
    kept: int = 0
    kept_until_day: int = 0


@dataclass(frozen=True)
class Wanted:
    """Which items an export is for: Unix seconds, 0 = no bound; `disclosure`: only what a disclosure may hold."""

    since: int = 0
    until: int = 0
    disclosure: bool = False


@dataclass(frozen=True)
class Item:
    """One exported thing. `kind` is "json" or "mail"; `content` comes in blocks of at most 256 KiB."""

    name: str
    kind: str
    content: AsyncIterator[bytes]


class HeldClass(Protocol):
    """One data class of one service. All methods raise UnavailableError where the store cannot answer."""

    @property
    def name(self) -> str:
        """Return its name in the policy."""

    async def count(self) -> Count:
        """Return what is held; bounded, see Store.count."""

    async def sweep(self, until: int, limit: int) -> Swept:
        """Delete at most `limit` items whose time was over at `until` (Unix seconds), lowest first."""

    def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """Give what is held about `subject`."""

    async def erase_keys(self, subject: Subject) -> int:
        """Destroy what makes the subject's items readable, all of it and durably; return how many keys. Idempotent."""

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """Delete at most `limit` of the subject's items; called after erase_keys of all classes. Idempotent."""
