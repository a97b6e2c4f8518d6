"""A ZIP file as a stream: made while it is sent, never whole in memory, never on a disk.

The standard library writes to a file that cannot be sought by putting lengths and checksums behind each member (APPNOTE
4.4.4, bit 3), so all it needs is something to write to; what has been written is taken away piece by piece.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime

# Within a member the archive may grow beyond 4 GiB.
_MODE = 0o600 << 16


class _Sink(io.RawIOBase):
    """Takes what is written until somebody takes it away. Not seekable, as the base class has it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class ArchiveStream:
    """Members one after the other; each method yields the bytes of the archive that it made."""

    def __init__(self, made: datetime) -> None:
        """All members bear the time `made`, UTC."""
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._date = made.timetuple()[:6]
        # Name of each member and the SHA-256 of its content.
        self.digests: dict[str, str] = {}

    async def member(self, name: str, content: AsyncIterable[bytes], *, packed: bool = True) -> AsyncIterator[bytes]:
        """Add one; what is ciphertext need not be `packed`. Raises: ValueError for a name that stands already."""
        if name in self.digests:
            raise ValueError("a member of this name stands already")
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = _MODE
        digest = hashlib.sha256()
        with self._zip.open(info, "w", force_zip64=True) as opened:
            async for piece in content:
                digest.update(piece)
                opened.write(piece)
                if taken := self._sink.take():
                    yield taken
        self.digests[name] = digest.hexdigest()
        yield self._sink.take()

    async def text(self, name: str, content: bytes) -> AsyncIterator[bytes]:
        """Add a small one. Raises: as `member`."""

        async def once() -> AsyncIterator[bytes]:
            yield content

        async for piece in self.member(name, once()):
            yield piece

    def end(self) -> bytes:
        """Return the end of the archive."""
        self._zip.close()
        return self._sink.take()
