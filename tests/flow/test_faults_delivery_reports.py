"""A process that dies between telling of a refusal and writing it down: the sender gets his report all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Happening, Kind
from tests.unit.delivery.world import REFUSED, FakeCustomers, World, a_store

_LEASE_IS_OVER = 301


class Customers(FakeCustomers):
    """Puts refused addresses on the list of whom not to write to, as happenings do; the first time is the last act."""

    def __init__(self, *, suppresses: bool) -> None:
        super().__init__()
        self.died = asyncio.Event()
        self._suppresses = suppresses

    async def note(self, happenings: Sequence[Happening]) -> None:
        await super().note(happenings)
        if self._suppresses:
            self.suppressed |= {one.recipient for one in happenings if one.kind is Kind.BOUNCED}
        if not self.died.is_set():
            self.died.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("suppresses", [False, True])
async def test_a_refusal_is_reported_whoever_dies(tmp_path: Path, suppresses: bool) -> None:
    customers = Customers(suppresses=suppresses)
    world = World(customers=customers)
    world.servers.answers = lambda outgoing, address: REFUSED
    async with a_store(tmp_path) as store:
        mail = await world.node(store).submit("bob@example.org", profile=Profile.RELAY)
        async with asyncio.timeout(10):
            await customers.died.wait()
        world.clock.advance(_LEASE_IS_OVER)
        await world.node(store).until_settled(mail)
        assert len(world.mailboxes.bodies()) == 1
