"""Accounts are told that they are paused: once, clearly, and whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.runtime.errors import NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from libs.runtime.upkeep import Upkeep
from services.delivery.customers.pausing import PauseNotices
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.domain.limits import Tally
from services.delivery.platform.letter import Place
from services.delivery.platform.letters import write
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import MARKS, VAULT, opened
from tests.unit.delivery.fake_ports import FakeLetters


@pytest.mark.parametrize(
    ("tally", "words"),
    # 99 are settled before.
    [(Tally(501, 99, 0), ["600", "99 (16.5 %)", "above 10 %"]), (Tally(1901, 0, 9), ["9 (0.4 %)", "above 0.3 %"])],
)
async def test_a_pause_is_told_once(tmp_path: Path, tally: Tally, words: list[str]) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, letters, account = ManualClock(), FakeLetters(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        notices = PauseNotices(standings, letters, clock)
        standings.note(account, Tally(99, 0, 0))
        await standings.flush()
        assert await notices.send() == 0
        standings.note(account, tally)
        await standings.flush()
        assert await notices.send() == 1
        standings.note(account, tally)
        await standings.flush()
        assert await notices.send() == 0
        (letter,) = letters.sent.values()
        assert (letter.account_id, letter.purpose, letter.name) == (account, "service", "sending_paused")
        written = write(letter.name, letter.fields, Place("sealpost.test", "http://127.0.0.1:8080"))
        assert written.subject == "Your sending is paused"
        text = " ".join(written.paragraphs)
        for word in [*words, "postmaster@sealpost.test"]:
            assert word in text
        assert "{" not in text


async def test_a_notice_that_cannot_be_stored_is_tried_again_with_the_same_id(tmp_path: Path) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, letters, account = ManualClock(), FakeLetters(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        upkeep = Upkeep({"notices": PauseNotices(standings, letters, clock).send})
        standings.note(account, Tally(200, 100, 0))
        await standings.flush()
        letters.fault = UnavailableError("unreachable")
        await upkeep.once()
        letters.fault = None
        await upkeep.once()
        assert letters.sent == {}
        clock.advance(minutes=6)
        await upkeep.once()
        (notice_id,) = letters.sent
        assert notice_id == (await standings.get(account)).notice_id
        letters.fault = NotFoundError("account_not_found")
        other = new_id()
        standings.note(other, Tally(200, 100, 0))
        await standings.flush()
        await upkeep.once()
        assert (await standings.get(other)).notice_due == 0


async def test_who_is_resumed_before_he_was_told_is_not_told(tmp_path: Path) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, letters, account = ManualClock(), FakeLetters(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        standings.note(account, Tally(200, 100, 0))
        await standings.flush()
        await standings.resume(account)
        assert await PauseNotices(standings, letters, clock).send() == 0
        assert await standings.paused(account) == ""


async def test_one_step_that_fails_leaves_the_others_alone() -> None:
    done: list[str] = []

    async def fails() -> int:
        raise UnavailableError("store")

    async def works() -> int:
        done.append("x")
        return 3 - len(done)

    await Upkeep({"fails": fails, "works": works}).once()
    assert done == ["x"] * 3
