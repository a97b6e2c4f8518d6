from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from libs.docstore.store import Collection
from libs.runtime.errors import UnavailableError
from libs.telemetry import logs
from services.accounts.domain.registration import CLAIM_SECONDS
from services.accounts.sweeper import sweep_forever, sweep_once
from tests.unit.accounts.support import Crash, Platform, die_at, make_wish

LOG = logs.get_logger("accounts")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    former = logs.configure(logs.Output(service="accounts", write=written.append))
    yield written
    logs.configure(former)


async def leftovers(platform: Platform) -> None:
    """Leave something of each kind that is due in a day."""
    dying = platform.again()
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.sign_up(make_wish("left@sealpost.test"))
    await platform.graph.signed_in.start(await platform.sign_up(make_wish()))
    await platform.sign_up(make_wish("bob@sealpost.test"))
    await platform.again(closed_address=platform.settings.session_idle).graph.staff.close_account("bob@sealpost.test")


async def test_what_is_due_goes_and_what_is_not_stays(platform: Platform, lines: list[str]) -> None:
    await leftovers(platform)
    await sweep_once(platform.graph, platform.clock, LOG)
    assert [len(platform.keys(name)) for name in ("accounts", "sessions", "addresses")] == [2, 1, 2]
    assert lines == []
    platform.clock.advance(CLAIM_SECONDS)
    await sweep_once(platform.graph, platform.clock, LOG)
    assert [len(platform.keys(name)) for name in ("accounts", "sessions", "addresses")] == [1, 0, 1]
    said = [json.loads(line) for line in lines]
    assert [(line["event"], line["kind"], line["deleted"]) for line in said] == [
        ("swept", "sessions", 1),
        ("swept", "registrations", 1),
        ("swept", "addresses", 1),
    ]


async def test_one_kind_that_fails_leaves_the_others_alone(platform: Platform, lines: list[str]) -> None:
    await leftovers(platform)
    platform.clock.advance(CLAIM_SECONDS)

    async def no_sessions(kind: str, collection: Collection) -> None:
        if collection.name == "sessions":
            raise UnavailableError("storage_unavailable")

    platform.store.before = no_sessions
    await sweep_once(platform.graph, platform.clock, LOG)
    assert [len(platform.keys(name)) for name in ("accounts", "sessions", "addresses")] == [1, 1, 1]
    failure = json.loads(lines[0])
    assert (failure["event"], failure["kind"], failure["reason"]) == (
        "sweep_failed",
        "sessions",
        "storage_unavailable",
    )


async def test_the_loop_ends_when_it_is_cancelled(platform: Platform) -> None:
    task = asyncio.create_task(sweep_forever(platform.graph, platform.clock, LOG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
