"""The ledger: one chain whoever writes, nothing personal in it; days that end are signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.owner.model import Subject
from libs.runtime.errors import InvalidError
from services.retention.ledger import checking
from services.retention.ledger.entries import GENESIS, KINDS, check
from services.retention.ledger.ledger import Ledger
from services.retention.ledger.signing import SigningKeys
from services.retention.owners.classes import EvidenceLedger
from services.retention.verify import main
from tests.unit.retention.fakes import DAY, LEAD, Rules, opened
from tests.unit.retention.ledger_book import FIRST_KEY, SECOND_KEY, Book


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
