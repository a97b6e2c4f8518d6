"""Seals batches of mail, each item on its own; opens public mail.

The OpenPGP library holds the interpreter's lock while it works, so a thread would let nothing else run; handing every
small batch to one was measured to cost 0.13 ms a mail for nothing. Small items are therefore sealed here and now, in
slices of a few milliseconds, between which everything else has its turn. Large items run in a thread, one at a time: at
25 MB a plaintext exists four times over for a moment, and a hundred at once would not fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from libs.envelope import open_sealed, place_of, seal
from libs.runtime.clock import Clock
from libs.runtime.errors import (
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import is_id
from libs.runtime.secret import Secret
from services.crypto.domain import certificates
from services.crypto.domain.directory import Directory, Recipient
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.model import AES_256_GCM, OPENPGP, OpenItem, PublicDay, Sealed, SealItem

LARGE_BYTES = 1024 * 1024
MAX_ENVELOPE_BYTES = 64 * 1024
FIELDS = ("envelope", "body")

_SLICE_SECONDS = 0.002


@dataclass(frozen=True)
class _DayKey:
    key_id: str
    secret: Secret[bytes]


_Owner = Recipient | _DayKey


class Sealer:
    """Seals and opens under the keys of directory and data keys."""

    def __init__(self, directory: Directory, keys: DataKeys, clock: Clock, max_in_flight: int) -> None:
        """At most `max_in_flight` bytes of plaintext are taken on at once; more is refused."""
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._large = asyncio.Semaphore(1)

    async def seal(self, items: Sequence[SealItem]) -> list[Sealed | SealpostError]:
        """Return for each item, in order, what it was sealed to or why it was not.

        Raises: ExhaustedError("seal_busy") if the batch does not fit beside what is under way.
        """
        weight = sum(item.weight for item in items)
        if self._in_flight and self._in_flight + weight > self._max_in_flight:
            raise ExhaustedError("seal_busy", retry_after=1.0)
        self._in_flight += weight
        try:
            owners = await self._owners([item.owner for item in items])
            results: list[Sealed | SealpostError] = []
            slice_end = self._clock.monotonic() + _SLICE_SECONDS
            for item in items:
                if self._clock.monotonic() >= slice_end:
                    await asyncio.sleep(0)
                    slice_end = self._clock.monotonic() + _SLICE_SECONDS
                results.append(await self._seal_one(item, owners[item.owner]))
            return results
        finally:
            self._in_flight -= weight

    async def open(self, items: Sequence[OpenItem]) -> list[bytes | SealpostError]:
        """Return for each item, in order, the plaintext or why it cannot be had."""
        results: list[bytes | SealpostError] = []
        for item in items:
            try:
                results.append(await self._open_one(item))
            except SealpostError as error:
                results.append(error)
        return results

    async def _owners(self, owners: Sequence[str | PublicDay]) -> Mapping[str | PublicDay, _Owner | SealpostError]:
        accounts = [owner for owner in owners if isinstance(owner, str)]
        found: dict[str | PublicDay, _Owner | SealpostError] = {}
        if accounts:
            unknown = NotFoundError("certificate_unknown")
            recipients = await self._directory.recipients(accounts)
            found.update({account: recipients.get(account, unknown) for account in accounts})
        for owner in owners:
            if isinstance(owner, PublicDay) and owner not in found:
                try:
                    found[owner] = _DayKey(*await self._keys.of_day(owner))
                except SealpostError as error:
                    found[owner] = error
        return found

    async def _seal_one(self, item: SealItem, owner: _Owner | SealpostError) -> Sealed | SealpostError:
        if isinstance(owner, SealpostError):
            return owner
        if not is_id(item.message_id):
            return InvalidError("message_id")
        if len(item.envelope) > MAX_ENVELOPE_BYTES:
            return InvalidError("envelope_too_large")
        work = partial(_seal_to, owner, item)
        if item.weight <= LARGE_BYTES:
            return work()
        async with self._large:
            return await asyncio.to_thread(work)

    async def _open_one(self, item: OpenItem) -> bytes:
        if item.field not in FIELDS:
            raise InvalidError("field")
        secret = await self._keys.of_id(item.key_id)
        work = partial(open_sealed, secret, place_of("message", item.message_id, item.field), item.ciphertext)
        if len(item.ciphertext) <= LARGE_BYTES:
            return work()
        async with self._large:
            return await asyncio.to_thread(work)


def _seal_to(owner: _Owner, item: SealItem) -> Sealed | SealpostError:
    if isinstance(owner, Recipient):
        return _seal_to_member(owner, item)
    envelope = seal(owner.secret, place_of("message", item.message_id, "envelope"), item.envelope)
    body = seal(owner.secret, place_of("message", item.message_id, "body"), item.body)
    return Sealed(envelope, body, AES_256_GCM, owner.key_id)


def _seal_to_member(owner: Recipient, item: SealItem) -> Sealed | SealpostError:
    try:
        envelope = certificates.seal_to(owner.certificate, item.envelope)
        body = certificates.seal_to(owner.certificate, item.body)
    except RuntimeError:
        # The library's text names the certificate, so it goes no further. Temporary: the owner may mend the key.
        return UnavailableError("certificate_unusable")
    return Sealed(envelope, body, OPENPGP, owner.fingerprint)
