"""A delivery process that forwards, on the fakes of the queue's own tests."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.envelope import open_secrets
from libs.mail.verdict import Verdict
from libs.runtime.secret import Secret
from services.delivery.domain.model import Outgoing
from services.delivery.forwards.copies import Incoming
from services.delivery.forwards.counts import COUNTS
from services.delivery.forwards.graph import make_forwards
from services.delivery.graph import Base, Customers, Outside, make_local, make_queue
from services.delivery.queue.collections import COLLECTIONS
from services.delivery.rpc.forwards import ForwardParts
from services.delivery.settings import Settings
from services.delivery.worker.local import MailboxPeers
from tests.unit.delivery.fake_ports import FakeLetters
from tests.unit.delivery.forwards.test_sealing import RESULTS, FakeKeys
from tests.unit.delivery.world import ACCOUNT, Node, World
from tests.unit.ingest.senders import MAIL, sign

HOLD = 5
SENDER = "ada@example.org"
TARGET = "copy@mail.example"
CONTENT = sign(MAIL)


@dataclass
class ForwardNode:
    """One process: its queue, and what forwards."""

    node: Node
    parts: ForwardParts
    keys: FakeKeys
    world: World
    letters: FakeLetters

    async def forward(self, **changes: Any) -> bool:
        """Bring a copy as the MX does."""
        content = changes.get("content", CONTENT)
        given: dict[str, Any] = {
            "account_id": ACCOUNT,
            "domain": "sealpost.test",
            "mail_from": SENDER,
            "recipients": (TARGET,),
            "content": content,
            "digest": hashlib.sha256(content).digest(),
            "smtputf8": False,
            "verdict": Verdict("pass", "pass", "pass", RESULTS),
        }
        return await self.parts.copies.forward(Incoming(**(given | changes)))

    async def withdraw(self, content: bytes = CONTENT) -> None:
        await self.parts.copies.withdraw(ACCOUNT, hashlib.sha256(content).digest())

    async def later(self, seconds: float = HOLD) -> list[Outgoing]:
        """Let time pass and the worker work; return what has been sent until then."""
        self.world.clock.advance(seconds)
        while await self.node.turn():
            pass
        await self.node.turn()
        return self.world.servers.sent


@asynccontextmanager
async def forwarding(directory: Path, world: World, **settings: Any) -> AsyncIterator[ForwardNode]:
    """Run a process on a store in `directory`."""
    given = Settings(kek=Secret(world.kek), lookup_key=Secret(world.lookup), forward_hold_seconds=HOLD)
    given = replace(given, **settings)
    boxes, people, keys = world.mailboxes, world.customers, FakeKeys()
    async with SqliteStore.open(directory / "delivery.db", (*COLLECTIONS, COUNTS)) as store:
        peers = MailboxPeers(boxes, boxes, boxes, boxes, boxes)
        outside = Outside(world.keys, peers, world.signer, world.servers, keys)
        customers = Customers(people, people, people, people, people, people)
        base = Base(given, store, world.clock, open_secrets(given.kek, given.lookup_key))
        local = make_local(base, outside)
        graph = make_queue(base, outside, customers, local)
        letters = FakeLetters()
        parts = make_forwards(base, graph, letters)
        yield ForwardNode(Node(world, store, graph), parts, keys, world, letters)
