"""What all kinds of keys share: unwrapping, and wrapping anew once there is a newer key-encryption key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from libs.envelope import KeyEncryptionKeys
from libs.runtime.errors import InvalidError, SealpostError, UnavailableError
from libs.runtime.secret import Secret


class WrappedRecord(Protocol):
    """A record with a wrapped key in it."""

    @property
    def key(self) -> str:
        """The document's key."""

    @property
    def wrapped(self) -> bytes | None:
        """The wrapped key."""


R = TypeVar("R", bound=WrappedRecord)


class WrappedRecords(Protocol[R]):
    """Where such records are kept."""

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[R]:
        """Return at most `limit` records wrapped under an older key-encryption key than version `kek`."""

    async def replace_many(self, records: Sequence[R]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""


def unwrap(kek: KeyEncryptionKeys, record: WrappedRecord, place: str) -> Secret[bytes]:
    """Return the key in `record`.

    Raises: UnavailableError("key_damaged" | "kek_missing"): a fault on our side must not turn mail away for good.
    """
    try:
        return kek.unwrap(record.wrapped or b"", place)
    except InvalidError as error:
        raise UnavailableError("key_damaged") from error


async def rewrap(
    records: WrappedRecords[R],
    kek: KeyEncryptionKeys,
    place: Callable[[str], str],
    renewed: Callable[[R, bytes, int], R],
    limit: int,
) -> tuple[int, int]:
    """Wrap at most `limit` keys under the newest key-encryption key; return how many were, and how many failed.

    `place` is where the key of a record is bound to; `renewed` makes the record with its new wrapping and version.
    """
    ready, failed = [], 0
    for record in await records.wrapped_before(kek.newest, limit):
        try:
            secret = unwrap(kek, record, place(record.key))
        except SealpostError:
            failed += 1
            continue
        ready.append(renewed(record, kek.wrap(secret, place(record.key)), kek.newest))
    # One that has changed or was destroyed meanwhile is looked at in the next round.
    return await records.replace_many(ready), failed
