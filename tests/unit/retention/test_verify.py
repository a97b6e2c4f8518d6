"""Every way to tamper with a file of the ledger is found, by a program that needs nothing but the file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.retention.ledger import checking
from services.retention.ledger.signing import Root, SigningKeys
from services.retention.verify import main
from tests.unit.retention.fakes import opened
from tests.unit.retention.ledger_book import FIRST_KEY, SECOND_KEY, Book


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    async with opened(tmp_path / "store") as store:
        yield Book(store)


def _lines(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def _entries(lines: list[bytes]) -> list[int]:
    return [number for number, line in enumerate(lines) if line.startswith(b'{"entry"')]


def _changed(line: bytes, rehash: bool) -> bytes:
    from services.retention.ledger.entries import decode
    from services.retention.ledger.ledger import line_of

    fields = json.loads(line)["entry"]
    fields["data"] = {"clause": "E2"}
    if rehash:
        return line_of(decode(fields))
    return json.dumps({"entry": fields, "hash": json.loads(line)["hash"]}, separators=(",", ":")).encode() + b"\n"


TAMPERING: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "changed": lambda lines, at: [*lines[:at], _changed(lines[at], False), *lines[at + 1 :]],
    "changed with its hash": lambda lines, at: [*lines[:at], _changed(lines[at], True), *lines[at + 1 :]],
    "removed": lambda lines, at: [*lines[:at], *lines[at + 1 :]],
    "inserted": lambda lines, at: [*lines[: at + 1], lines[at], *lines[at + 1 :]],
    "cut within a line": lambda lines, at: [*lines[:at], lines[at][:-20]],
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_tampering_with_any_entry_is_found(book: Book, how: str) -> None:
    for _ in range(3):
        await book.day()
    lines = _lines(await book.text())
    for at in _entries(lines):
        forged = TAMPERING[how](lines, at)
        assert not checking.Checker(book.keys.public).check(forged).good, f"entry in line {at + 1} {how}"


async def test_moved_entries_and_roots_are_found(book: Book) -> None:
    for _ in range(3):
        await book.day()
    lines = _lines(await book.text())
    for first in range(1, len(lines)):
        for second in range(first + 1, len(lines)):
            moved = list(lines)
            moved[first], moved[second] = moved[second], moved[first]
            assert not checking.Checker(book.keys.public).check(moved).good


def _fields(root: Root) -> dict[str, Any]:
    return {
        "day": root.day,
        "entry": root.entry,
        "hash": root.hash,
        "key_id": root.key_id.hex(),
        "signature": root.signature.hex(),
    }


async def test_a_ledger_cut_short_is_found_by_what_was_published(book: Book, tmp_path: Path) -> None:
    for _ in range(3):
        await book.day()
    roots = await book.roots.newest(10)
    published: dict[str, Any] = {
        "public_keys": [key.hex() for key in book.keys.public],
        "roots": [_fields(root) for root in roots],
    }
    (tmp_path / "published.json").write_text(json.dumps(published))
    lines = _lines(await book.text())
    (tmp_path / "whole").write_bytes(b"".join(lines))
    (tmp_path / "short").write_bytes(b"".join(lines[:-4]))
    assert main([str(tmp_path / "whole"), "--published", str(tmp_path / "published.json")]) == 0
    assert main([str(tmp_path / "short")]) == 0
    assert main([str(tmp_path / "short"), "--published", str(tmp_path / "published.json")]) == 1
    published["roots"] = [{**_fields(roots[0]), "entry": 5}]
    (tmp_path / "published.json").write_text(json.dumps(published))
    assert main([str(tmp_path / "whole"), "--published", str(tmp_path / "published.json")]) == 2


async def test_a_ledger_written_anew_needs_the_key(tmp_path: Path) -> None:
    async with opened(tmp_path / "true") as store, opened(tmp_path / "forged") as other:
        true, forged = Book(store), Book(other, SECOND_KEY)
        await true.day(3)
        await forged.day(2)
        assert not checking.Checker(true.keys.public).check(_lines(await forged.text())).good


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_other_file_is_no_ledger(content: bytes) -> None:
    assert not checking.Checker().check(_lines(content)).good


@given(st.data())
@settings(max_examples=150)
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    lines = _SAMPLE
    at = data.draw(st.integers(1, len(lines) - 1))
    position = data.draw(st.integers(0, len(lines[at]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != lines[at][position]))
    forged = list(lines)
    forged[at] = lines[at][:position] + bytes([other]) + lines[at][position + 1 :]
    text = b"".join(forged)
    verdict = checking.Checker(SigningKeys(FIRST_KEY).public).check(_lines(text))
    # Digits of a hash in capitals and the like say the same; whatever is accepted must say the same.
    if verdict.good:
        assert [json.loads(line.lower()) for line in forged] == [json.loads(line.lower()) for line in lines]


def _sample() -> list[bytes]:
    import tempfile

    async def make(path: Path) -> list[bytes]:
        async with opened(path) as store:
            book = Book(store)
            await book.day()
            await book.day()
            return _lines(await book.text())

    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(make(Path(directory) / "store"))


_SAMPLE = _sample()


def test_the_verifier_needs_no_network() -> None:
    code = (
        "import sys, services.retention.verify\n"
        "bad = {'grpc', 'nats', 'socket', 'httpx', 'aiohttp', 'motor', 'sqlite3', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
