"""The ledger: one chain whoever writes, nothing personal in it, and every way to tamper with the file is found."""

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

from libs.docstore.store import Store
from libs.owner.model import Subject
from libs.runtime.errors import InvalidError
from services.retention.leading.guard import Guard
from services.retention.ledger import checking
from services.retention.ledger.entries import GENESIS, KINDS, check
from services.retention.ledger.export import LedgerFile
from services.retention.ledger.ledger import Ledger
from services.retention.ledger.roots import Roots
from services.retention.ledger.signing import Root, SigningKeys
from services.retention.owners.classes import EvidenceLedger
from services.retention.verify import main
from tests.unit.retention.fakes import DAY, LEAD, Rules, TwoHands, opened

FIRST_KEY, SECOND_KEY = "11" * 32, "22" * 32


class Book:
    """A ledger with its roots, and a clock."""

    def __init__(self, store: Store, key: str = FIRST_KEY) -> None:
        self.store = store
        self.clock = TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: 10 * DAY)
        self.sign_with(key)

    def sign_with(self, key: str) -> None:
        self.keys = SigningKeys(key)
        self.roots = Roots(self.store, self.ledger, self.keys, self.guard)
        self.file = LedgerFile(self.ledger, self.roots)

    async def day(self, entries: int = 3) -> None:
        """Write some entries, and let the day end."""
        await self.guard.observe(True)
        for number in range(entries):
            await self.ledger.append("probe", {"clause": "E1", "run": number, "result": "pass"})
        self.clock.advance(DAY)
        await self.guard.observe(True)
        await self.roots.run(LEAD)

    async def text(self, first: str = "", last: str = "") -> bytes:
        return b"".join([block async for block in self.file.blocks(first, last)])


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    async with opened(tmp_path / "store") as store:
        yield Book(store)


async def test_entries_are_a_chain(book: Book) -> None:
    first = await book.ledger.append("restored", {"erasures": 3})
    second = await book.ledger.append("probe", {"clause": "E1", "result": "pass"})
    assert (first.number, first.prev, second.number, second.prev) == (1, GENESIS, 2, first.hash)
    assert await book.ledger.last() == second
    assert list(await book.ledger.read(1, 10)) == [first, second]


async def test_many_writers_make_one_chain(book: Book) -> None:
    other = Ledger(book.store, book.clock)
    writers = [one.append("probe", {"run": number}) for number in range(10) for one in (book.ledger, other)]
    entries = await asyncio.gather(*writers)
    assert sorted(entry.number for entry in entries) == list(range(1, 21))
    read = await book.ledger.read(1, 100)
    assert [entry.prev for entry in read[1:]] == [entry.hash for entry in read[:-1]]


async def test_what_may_be_written_once_is_written_once(book: Book) -> None:
    entries = [await book.ledger.append("erasure_done", {"documents": number}, once="x") for number in (1, 2)]
    assert entries[0] == entries[1]
    assert await book.ledger.append("erasure_done", {"documents": 2}, once="y") != entries[0]


@pytest.mark.parametrize(
    "data",
    [
        {"who": "ada@example.org"},
        {"text": "a sentence"},
        {"Name": "x"},
        {"x": 1.5},
        {"x": True},
        {"x": "y" * 101},
        {"x": 1 << 63},
        {f"x{number}": 1 for number in range(25)},
    ],
)
async def test_nothing_personal_or_long_gets_in(book: Book, data: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match="field") as refused:
        await book.ledger.append("probe", data)
    assert "example" not in str(refused.value)


def test_kinds_are_closed() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        check("gossip", {})
    for kind in KINDS:
        check(kind, {})


async def test_a_file_is_genuine(book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        await book.day()
    await book.ledger.append("probe", {"clause": "E1"})
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(await book.text())
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert "GENUINE: 10 entries" in said and "3 signed ends of days" in said
    assert "last 1 entries are not signed yet" in said and "file's own" in said
    assert main([str(path), "--key", book.keys.public[-1].hex()]) == 0
    assert "file's own" not in capsys.readouterr().out
    assert main([str(path), "--key", "33" * 32]) == 1
    assert main([str(tmp_path / "absent")]) == 2
    (tmp_path / "empty").touch()
    assert main([str(tmp_path / "empty")]) == 1


async def test_without_a_signed_day_nothing_is_shown(book: Book, tmp_path: Path) -> None:
    await book.ledger.append("probe", {"clause": "E1"})
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(await book.text())
    assert main([str(path)]) == 2


async def test_parts_of_it_by_day(book: Book) -> None:
    for _ in range(4):
        await book.day()
    days = [root.day for root in reversed(await book.roots.newest(10))]
    part = await book.text(days[1], days[2])
    verdict = checking.Checker().check(part.splitlines(keepends=True))
    assert (verdict.good, verdict.entries, verdict.begins, verdict.roots) == (True, 6, 4, 2)
    assert b'"entry"' not in await book.text("2020-01-01", "2020-01-02")
    with pytest.raises(InvalidError):
        await book.text("2020-13-01")
    with pytest.raises(InvalidError):
        await book.text("", "yesterday")


async def test_keys_change_and_old_roots_stay_good(book: Book) -> None:
    await book.day()
    book.sign_with(f"1:{FIRST_KEY}\n2:{SECOND_KEY}\n")
    await book.day()
    book.sign_with(SECOND_KEY)
    await book.day()
    verdict = checking.Checker().check((await book.text()).splitlines(keepends=True))
    assert (verdict.good, verdict.roots) == (True, 3)
    roots = await book.roots.newest(10)
    assert [key.hex() for key in book.roots.keys(roots)] == [
        SigningKeys(FIRST_KEY).public[0].hex(),
        SigningKeys(SECOND_KEY).public[0].hex(),
    ]
    only_new = checking.Checker(SigningKeys(SECOND_KEY).public).check((await book.text()).splitlines(keepends=True))
    assert any("not trusted" in fault for fault in only_new.faults)


@pytest.mark.parametrize("text", ["", "zz" * 32, "11" * 31, f"x:{FIRST_KEY}", f"1:{FIRST_KEY}\n1:{SECOND_KEY}"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        SigningKeys(text)
    assert "1111" not in str(refused.value)


async def test_a_day_ends_once_and_not_while_time_is_unknown(book: Book) -> None:
    await book.day()
    await book.roots.run(LEAD)
    assert len(await book.roots.newest(10)) == 1
    await book.ledger.append("probe", {"clause": "E1"})
    book.clock.step(30 * DAY)
    await book.guard.observe(True)
    with pytest.raises(Exception, match="clock_held"):
        await book.roots.run(LEAD)


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


async def test_entries_go_after_their_time_from_the_beginning(book: Book) -> None:
    await book.day()
    held = EvidenceLedger(book.store, book.ledger, Rules())
    year = 365 * DAY
    book.clock.advance(5 * year)
    await book.ledger.append("probe", {"clause": "E1"})
    assert (await held.sweep(book.clock.unix, 100)).deleted == 0
    book.clock.advance(6 * year)
    assert (await held.sweep(book.clock.unix, 2)).more
    assert (await held.sweep(book.clock.unix, 100)).deleted == 1
    left = await book.ledger.first()
    assert left is not None and left.number == 4
    assert await book.roots.newest(10) == []
    assert (await held.count()).count == 1
    assert (await held.erase(Subject("a" * 32), 10)).deleted == 0
