"""Accounts are told that they are paused: once, clearly, and whatever happens in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from libs.runtime.errors import NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.delivery.customers.pausing import PauseNotices
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.customers.upkeep import Upkeep
from services.delivery.domain.limits import Tally
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import MARKS, VAULT, opened


@dataclass
class Mailboxes:
    """Implements domain.ports.Notices."""

    stored: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    error: Exception | None = None

    async def put(self, account_id: str, notice_id: str, content: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.stored[notice_id] = (account_id, content)


@pytest.mark.parametrize(
    ("tally", "words"),
    # 99 are settled before.
    [(Tally(501, 99, 0), ["600", "99 (16.5 %)", "above 10 %"]), (Tally(1901, 0, 9), ["9 (0.4 %)", "above 0.3 %"])],
)
async def test_a_pause_is_told_once(tmp_path: Path, tally: Tally, words: list[str]) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, mailboxes, account = ManualClock(), Mailboxes(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        notices = PauseNotices(standings, mailboxes, "sealpost.test", clock)
        standings.note(account, Tally(99, 0, 0))
        await standings.flush()
        assert await notices.send() == 0
        standings.note(account, tally)
        await standings.flush()
        assert await notices.send() == 1
        standings.note(account, tally)
        await standings.flush()
        assert await notices.send() == 0
        ((owner, content),) = mailboxes.stored.values()
        assert owner == account
        assert content.count(b"\n") == content.count(b"\r\n")
        assert max(map(len, content.split(b"\r\n"))) <= 78
        mail = message_from_bytes(content, policy=policy.default)
        assert not mail.defects
        assert mail["Subject"] == "Your sending is paused"
        assert mail["Auto-Submitted"] == "auto-generated"
        body = mail.get_body()
        assert body is not None
        text = " ".join(body.get_content().split())
        for word in [*words, "postmaster@sealpost.test"]:
            assert word in text
        assert "{" not in text


async def test_a_notice_that_cannot_be_stored_is_tried_again_with_the_same_id(tmp_path: Path) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, mailboxes, account = ManualClock(), Mailboxes(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        upkeep = Upkeep({"notices": PauseNotices(standings, mailboxes, "sealpost.test", clock).send})
        standings.note(account, Tally(200, 100, 0))
        await standings.flush()
        mailboxes.error = UnavailableError("unreachable")
        await upkeep.once()
        mailboxes.error = None
        await upkeep.once()
        assert mailboxes.stored == {}
        clock.advance(minutes=6)
        await upkeep.once()
        (notice_id,) = mailboxes.stored
        assert notice_id == (await standings.get(account)).notice_id
        mailboxes.error = NotFoundError("account_not_found")
        other = new_id()
        standings.note(other, Tally(200, 100, 0))
        await standings.flush()
        await upkeep.once()
        assert (await standings.get(other)).notice_due == 0


async def test_who_is_resumed_before_he_was_told_is_not_told(tmp_path: Path) -> None:
    async with opened(tmp_path, STANDING) as store:
        clock, mailboxes, account = ManualClock(), Mailboxes(), new_id()
        standings = Standings(store, MARKS, VAULT, clock)
        standings.note(account, Tally(200, 100, 0))
        await standings.flush()
        await standings.resume(account)
        assert await PauseNotices(standings, mailboxes, "sealpost.test", clock).send() == 0
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
