"""How mail that came in and goes on leaves: never signed as ours, sealed as what it is, with a return path of ours."""

from __future__ import annotations

import asyncio

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from services.delivery.domain.model import Way
from services.delivery.forwards.sealing import ArcSealer
from services.delivery.forwards.srs import ForwardedCopy, ForwardPaths
from services.delivery.queue.entry import Entry
from services.delivery.worker.remote import Transaction


class ForwardRemote:
    """What worker.remote asks about mail of this kind."""

    def __init__(self, sealer: ArcSealer, paths: ForwardPaths, clock: Clock) -> None:
        """Take who seals, and what names copies."""
        self._sealer = sealer
        self._paths = paths
        self._clock = clock

    def letter(self, entry: Entry, content: bytes) -> ForwardLetter:
        """Return what one attempt at a mail sends."""
        return ForwardLetter(self._sealer, entry, content)

    def return_path(self, entry: Entry, one: Transaction) -> str:
        """Return the address that reports about a copy come to: dated, and good for some days from now."""
        return self._paths.make(ForwardedCopy(entry.mail.mail_id, one.return_index), unix_seconds(self._clock))


class ForwardLetter:
    """The content of a mail on its way, sealed once for everybody; a report goes back as it came."""

    def __init__(self, sealer: ArcSealer, entry: Entry, content: bytes) -> None:
        """Take the mail as it came."""
        self._sealer = sealer
        self._forwarded = entry.mail.order.forwarded
        self._content = content
        self._sealing = asyncio.Lock()
        self._sealed: bytes | SealpostError | None = None

    async def content(self, one: Transaction) -> bytes:
        """Return the mail for a transaction. Raises: SealpostError."""
        forwarded = self._forwarded
        if forwarded is None or forwarded.way is not Way.COPY:
            return self._content
        async with self._sealing:
            if self._sealed is None:
                # Who comes meanwhile waits, and is told the same.
                try:
                    self._sealed = await self._sealer.seal(self._content, forwarded.domain, forwarded.verdict)
                except SealpostError as error:
                    self._sealed = error
        if isinstance(self._sealed, SealpostError):
            raise self._sealed
        return self._sealed
