"""The outward ledger over minutes: a server away for half an hour, and workers that come too late for their mails.

And it proves itself: without one of the fences of the lease each, it finds mails that arrived twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from libs.docstore.store import Store
from services.delivery.domain.schedule import PAUSES
from tests.support.clock import ManualClock
from tests.support.ledger_check import summary
from tests.support.outward_mail import REFUSING, SLEEPY, STEADY
from tests.support.remote_steps import RCPT
from tests.unit.delivery.ledger_nodes import MeetingStore, Nodes, ledger_nodes, soon
from tests.unit.delivery.world import Node

_MINUTE = 60
_AWAY = 30 * _MINUTE
_STEP = 10
_MAILS = 42
# The destination is left alone for up to ten minutes more (Bounds.pause_most); what was due meanwhile had its third
# attempt then, and waits for half an hour and a tenth.
_LATEST = (10 + 33 + 2) * _MINUTE


def _domains(number: int) -> tuple[str, ...]:
    if number % 21 == 7:
        return (STEADY, REFUSING)
    return (SLEEPY,) if number % 3 else (SLEEPY, STEADY)


async def _pass(nodes: Nodes, seconds: int, *working: Node, submit: Callable[[int], int] = lambda _: 0) -> None:
    """Let time pass in steps; in each, a number of mails is submitted, and every node that works looks for its own."""
    for at in range(0, seconds, _STEP):
        nodes.world.clock.advance(_STEP)
        for _ in range(submit(at)):
            await nodes.submit(working[0], *_domains(len(nodes.ids)))
        for node in working:
            await node.turn()


async def test_a_server_is_away_for_half_an_hour_and_each_mail_comes_once(tmp_path: Path) -> None:
    """The settings of production. Of two nodes one is gone after ten minutes, with whatever it held just then."""
    async with ledger_nodes(tmp_path, STEADY, SLEEPY, REFUSING) as nodes:
        refusing = nodes.servers[REFUSING].mta
        assert refusing is not None
        refusing.says(RCPT, "550 5.1.1 nobody of that name here")
        one, two = nodes.node(), nodes.node()
        assert nodes.node().graph.worker.lease == 300
        clock = nodes.world.clock
        await nodes.servers[SLEEPY].sleep()
        gone = clock.monotonic()
        # Mails go on being submitted for as long as the server is away.
        spread = _AWAY // _MAILS

        def submit(at: int) -> int:
            return 1 if at % spread < _STEP else 0

        await _pass(nodes, 10 * _MINUTE, one, two, submit=submit)
        await _pass(nodes, _AWAY - 10 * _MINUTE, two, submit=submit)
        accepted = len(nodes.ids)
        assert accepted > _MAILS / 2
        sleepy = [one for one in nodes.arrivals() if one.mail.recipients[0].endswith(f"@{SLEEPY}")]
        assert sleepy == []
        waiting = await nodes.unsettled()
        assert waiting > accepted / 2
        back = clock.monotonic()
        assert back - gone == _AWAY
        await nodes.servers[SLEEPY].wake()
        await _pass(nodes, _LATEST, two)
        assert await nodes.unsettled() == 0
        assert [str(fault) for fault in nodes.reckon().faults] == []
        late = [one.at - back for one in nodes.servers[SLEEPY].arrivals()]
        assert len(late) >= waiting
        assert max(late) <= _LATEST
        assert PAUSES[:4] == (60, 300, 900, 1800)


async def _sleeps_in_line(nodes: Nodes, fenced: bool) -> None:
    """A worker sleeps through its lease, a mail in line behind another; somebody else sends both; it wakes.

    The fence is the time: whoever wakes looks at the clock before he sends. Here it stands still while he sleeps.
    """
    own = ManualClock(nodes.world.clock.now())
    sleeper, awake = nodes.sleeper(clock=nodes.world.clock if fenced else own, per_destination=1)
    other = nodes.node()
    nodes.servers[STEADY].says.append("451 4.3.0 come again")
    await nodes.submit(sleeper, STEADY)
    await soon(lambda: nodes.servers[STEADY].mails == 1)
    line = await nodes.submit(sleeper, STEADY)
    assert [entry.mail.mail_id for entry in sleeper.waiting()] == [line]
    nodes.world.clock.advance(301)
    await other.turn()
    assert await nodes.unsettled() == 0
    awake.set()
    await sleeper.idle()


async def _writes_late(nodes: Nodes, fenced: bool) -> None:
    """A worker was told to come again, and sleeps through its lease; it writes that down while another one sends.

    The fence is the version that every write names: else the mail is due again, for a third one.
    """
    sleeper, awake = nodes.sleeper(fenced=fenced)
    other, done = nodes.sleeper(fenced=fenced)
    third = nodes.node(fenced=fenced)
    server = nodes.servers[STEADY]
    nodes.servers[STEADY].says.append("451 4.3.0 come again")
    await nodes.submit(sleeper, STEADY)
    await soon(lambda: server.mails == 1)
    nodes.world.clock.advance(301)
    await other.graph.worker.turn()
    await soon(lambda: server.mails == 2)
    awake.set()
    await sleeper.idle()
    # Longer than until the second attempt, and less than the lease of the one who sends.
    nodes.world.clock.advance(130)
    await third.turn()
    done.set()
    await other.idle()


async def _take_at_once(nodes: Nodes, fenced: bool) -> None:
    """Two workers find the same mails due at the same time. The fence is the version that a claim names."""
    nodes.store = cast(Store, MeetingStore(nodes.store))
    one, two = nodes.node(fenced=fenced), nodes.node(fenced=fenced)
    for _ in range(10):
        await nodes.submit(one, STEADY, send_at=nodes.world.now + 1)
    nodes.world.clock.advance(2)
    await asyncio.gather(one.turn(), two.turn())


@pytest.mark.parametrize("fenced", [True, False])
@pytest.mark.parametrize(("happens", "mails"), [(_sleeps_in_line, 1), (_writes_late, 1), (_take_at_once, 10)])
async def test_without_the_fences_of_the_lease_mails_arrive_twice_and_the_ledger_finds_them(
    tmp_path: Path, happens: Callable[[Nodes, bool], Awaitable[None]], mails: int, fenced: bool
) -> None:
    async with ledger_nodes(tmp_path, STEADY) as nodes:
        await happens(nodes, fenced)
        assert await nodes.unsettled() == 0
        assert summary(nodes.reckon().faults) == ({} if fenced else {"doubled": mails})
