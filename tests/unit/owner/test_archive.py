"""A ZIP file made while it is sent: readable by others, with the digests of its members."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from libs.owner.archive import ArchiveStream

_WHEN = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_is_sent_is_a_zip_file_that_others_read() -> None:
    archive, sent = ArchiveStream(_WHEN), io.BytesIO()
    async for piece in archive.text("a.json", b"{}"):
        sent.write(piece)
    async for piece in archive.member("mail/a.mbox", _pieces(b"one", b"", b"two" * 100_000), packed=False):
        sent.write(piece)
    async for piece in archive.member("empty", _pieces()):
        sent.write(piece)
    sent.write(archive.end())
    with zipfile.ZipFile(sent) as read:
        assert read.testzip() is None
        assert read.namelist() == ["a.json", "mail/a.mbox", "empty"]
        assert read.read("mail/a.mbox") == b"one" + b"two" * 100_000
        assert read.getinfo("a.json").date_time == (2026, 11, 23, 4, 0, 0)
    assert archive.digests["a.json"] == hashlib.sha256(b"{}").hexdigest()


async def test_it_is_sent_as_it_is_made() -> None:
    archive, begun = ArchiveStream(_WHEN), []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            begun.append(1)
            yield bytes(1000)

    stream = archive.member("long", endless(), packed=False)
    assert len(await anext(stream)) < 2000
    assert len(begun) == 1


async def test_a_name_stands_once() -> None:
    archive = ArchiveStream(_WHEN)
    async for _ in archive.text("a", b""):
        pass
    with pytest.raises(ValueError, match="stands already"):
        await anext(archive.text("a", b""))
