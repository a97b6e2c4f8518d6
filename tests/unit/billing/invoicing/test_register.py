"""Numbers without gaps, whoever gives them and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Delete, Patch
from libs.runtime.errors import InvalidError, UnavailableError
from services.billing.invoicing import register as module
from services.billing.invoicing.register import REGISTER, Issued, Register
from tests.support.breaking_store import BreakingStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (REGISTER,)) as opened:
        yield opened


def _drafts(first: int, last: int) -> list[str]:
    return [f"draft{number}" for number in range(first, last)]


async def _issue_all(register: Register, drafts: list[str], year: int = 2026) -> list[Issued]:
    issued: list[Issued] = []
    while drafts:
        given_now = await register.issue(year, drafts)
        issued += given_now
        drafts = drafts[len(given_now) :]
    return issued


async def test_numbers_follow_each_other_over_pages_and_begin_anew_each_year(store: SqliteStore) -> None:
    register = Register(store)
    issued = await _issue_all(register, _drafts(0, 2500))
    assert [one.number for one in issued] == [f"2026-{number:06d}" for number in range(1, 2501)]
    assert [one.draft_id for one in issued] == _drafts(0, 2500)
    assert await register.issue(2027, ["other"]) == [Issued("other", "2027-000001")]
    assert await register.verify(2026) == 2500
    assert await register.verify(2027) == 1
    assert await register.verify(2028) == 0


async def test_who_comes_again_is_told_the_same(store: SqliteStore) -> None:
    register = Register(store)
    first = await register.issue(2026, _drafts(0, 3))
    assert await register.issue(2026, _drafts(0, 3)) == first
    assert await register.last_issued(2026) == first
    assert await register.verify(2026) == 3


@pytest.mark.parametrize("drafts", [[], ["same", "same"]])
async def test_what_cannot_be_issued(store: SqliteStore, drafts: list[str]) -> None:
    with pytest.raises(InvalidError, match=r"^drafts$"):
        await Register(store).issue(2026, drafts)


async def test_many_at_once_get_different_numbers(store: SqliteStore) -> None:
    registers = [Register(store) for _ in range(6)]
    issued = await asyncio.gather(
        *(register.issue(2026, _drafts(10 * start, 10 * start + 10)) for start, register in enumerate(registers))
    )
    numbers = sorted(one.number for part in issued for one in part)
    assert numbers == [f"2026-{number:06d}" for number in range(1, 61)]
    assert await registers[0].verify(2026) == 60


async def test_an_altered_register_is_found(store: SqliteStore) -> None:
    register = Register(store)
    await _issue_all(register, _drafts(0, module.PAGE_SIZE + 5))
    await store.write(Patch(REGISTER, "2026/000001", {"drafts": ["draft0"]}))
    with pytest.raises(InvalidError, match=r"^register$"):
        await register.verify(2026)
    await store.write(Patch(REGISTER, "2026/000001", {"drafts": ["other"]}))
    assert await register.verify(2026) == module.PAGE_SIZE + 1
    await store.write(Delete(REGISTER, "2026/000000"))
    with pytest.raises(InvalidError, match=r"^register$"):
        await register.verify(2026)


steps = st.lists(st.tuples(st.integers(1, 700), st.sampled_from(("fine", "lost", "kept"))), min_size=1, max_size=12)


async def _live(tmp_path: Path, lives: list[tuple[int, str]]) -> None:
    """Each life issues some drafts and may die at its write; the next begins with what the register says."""
    home = tmp_path / str(len(list(tmp_path.iterdir())))
    home.mkdir()
    async with await SqliteStore.open(home, (REGISTER,)) as inner:
        store = BreakingStore(inner)
        waiting, told, next_draft = list[str](), dict[str, str](), 0
        for count, ends in lives:
            waiting += _drafts(next_draft, next_draft + count)
            next_draft += count
            register = Register(store)
            known = {one.draft_id: one.number for one in await register.last_issued(2026)}
            told |= {draft: known[draft] for draft in waiting if draft in known}
            waiting = [draft for draft in waiting if draft not in told]
            if ends != "fine":
                store.break_at(0, kept=ends == "kept")
            try:
                told |= {one.draft_id: one.number for one in await _issue_all(register, waiting)}
            except UnavailableError:
                continue
            finally:
                store.after = None
            waiting = []
        told |= {one.draft_id: one.number for one in await _issue_all(Register(inner), waiting)}
        assert sorted(told.values()) == [f"2026-{number:06d}" for number in range(1, next_draft + 1)]
        assert await Register(inner).verify(2026) == next_draft


@given(lives=steps)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whoever_dies_no_number_is_missing_and_none_is_given_twice(
    tmp_path: Path, lives: list[tuple[int, str]]
) -> None:
    asyncio.run(_live(tmp_path, lives))
