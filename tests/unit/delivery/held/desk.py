"""A process of delivery with all that it keeps, and somebody who has left something in every class."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Document
from libs.envelope import open_secrets
from libs.net.http import GuardedHttp
from libs.owner.model import Subject, Wanted
from libs.owner.owner import Erasing, Owner
from libs.policy import Terms, load_policy
from libs.runtime.clock import unix_seconds
from libs.runtime.secret import Secret
from services.delivery.customers.domain_records import Claim
from services.delivery.customers.graph import Customers, Needs, make_customers
from services.delivery.customers.ports import AccountFacts, DkimRecord
from services.delivery.customers.sender_domains import DomainPeers
from services.delivery.domain.limits import Tally
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Kind
from services.delivery.domain.sender_domains import Installation
from services.delivery.erased import LiveHappenings
from services.delivery.forwards.counts import DailyCounts
from services.delivery.graph import Base, Outside, make_local, make_queue
from services.delivery.graph import Customers as Asked
from services.delivery.held.graph import HeldParts, make_held
from services.delivery.main import COLLECTIONS
from services.delivery.settings import Settings
from services.delivery.worker.local import MailboxPeers
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import OLD, FakeAccounts, FakeDkim, happening
from tests.unit.delivery.fake_ports import FakeLetters
from tests.unit.delivery.world import ACCOUNT, LATER, Node, World

OTHER = "b" * 32
ALL = 10_000
# What must be in no document and in no export of somebody else.
NEEDLE = "zz-canary"


class NoDns:
    """Where nothing is published."""

    async def txt(self, name: str) -> list[str]:
        return []

    async def mx(self, name: str) -> list[str]:
        return []


@dataclass
class Desk:
    """One process. `counts`: of forwarding."""

    node: Node
    customers: Customers
    counts: DailyCounts
    owner: Owner
    dkim: FakeDkim
    terms: Terms

    @property
    def store(self) -> SqliteStore:
        """Where everything is kept."""
        assert isinstance(self.node.store, SqliteStore)
        return self.node.store

    @property
    def clock(self) -> ManualClock:
        """Everybody's."""
        return self.node.world.clock

    async def fill(self, account_id: str = ACCOUNT, *, name: str = "one") -> None:
        """Leave something of an account in every class."""
        node, customers = self.node, self.customers
        sender, box = f"{name}@sealpost.test", f"{name}.zz-canary.test"
        if account_id != ACCOUNT:
            node.world.mailboxes.add(sender, account_id)
        else:
            sender = "ada@sealpost.test"
        mail = {"account_id": account_id, "mail_from": sender, "content": _content(sender)}
        await node.submit(f"done@{box}", idempotency_key=f"{NEEDLE}-1", **mail)
        await node.idle()
        answers, node.world.servers.answers = node.world.servers.answers, lambda outgoing, address: LATER
        await node.submit(f"waits@{box}", **mail)
        await node.submit(f"later@{box}", send_at=node.world.now + 86_400, **mail)
        large = _content(sender) + (b"y" * 70 + b"\r\n") * 600
        await node.submit(f"large@{box}", **{**mail, "content": large})
        await node.idle()
        node.world.servers.answers = answers
        hook, _ = await customers.webhooks.put(account_id, "", f"https://{box}/hook", [])
        await customers.happenings.note(
            [happening(Kind.BOUNCED, account_id, self.clock, f"gone@{box}", status="5.1.1")]
        )
        await customers.suppressions.put(account_id, f"not@{box}")
        await customers.reservations.reserve(account_id, Profile.SEALED, 1, f"box/{name}")
        await customers.campaigns.stop(account_id, "autumn", _NoQueue())
        await node.graph.measure.campaigns.put(account_id, "spring", opens=True, clicks=True)
        await node.graph.measure.campaigns.count_no_more(f"shy@{box}")
        customers.standings.note(account_id, Tally(10, 1, 0))
        await customers.standings.flush()
        await self.counts.add("mails", account_id, 10, account_id=account_id)
        await self.claim(account_id, f"{box}")
        assert hook.webhook_id

    async def claim(self, account_id: str, domain: str, *, verified: bool = True) -> None:
        """Have an account claim a sender domain, and hold it."""
        marks, records = self.customers.domains._marks, self.customers.domain_records
        mark, now = marks.account(account_id), unix_seconds(self.clock)
        self.dkim.made.add(domain)
        await records.insert(
            Claim(mark, domain, (DkimRecord("r1", "v=DKIM1; p=AAAA"),), now, verified, recheck=now + 9)
        )
        if verified and await records.owner(domain) is None:
            await records.take(domain, mark, None)

    async def erase(self, account_id: str = ACCOUNT, limit: int = ALL) -> list[Erasing]:
        """Erase until there is no more; return what each call did."""
        steps = [await self.owner.erase(Subject(account_id), limit)]
        while steps[-1].more:
            assert len(steps) < 200
            steps.append(await self.owner.erase(Subject(account_id), limit))
        return steps

    async def export(self, account_id: str = ACCOUNT, **wanted: object) -> dict[str, list[dict[str, object]]]:
        """Return what is exported, by class."""
        found = {}
        async for name, item in self.owner.export(Subject(account_id), (), Wanted(**wanted)):  # type: ignore[arg-type]
            assert item.kind == "json" and item.name == f"{name}.json"
            blocks = [block async for block in item.content]
            assert max(map(len, blocks)) <= 256 * 1024
            found[name] = json.loads(b"".join(blocks))
        return found

    async def sweep_all(self) -> dict[str, int]:
        """Sweep every class until nothing of it is over."""
        swept: dict[str, int] = {}
        for name in self.owner.names:
            more = True
            while more:
                one = await self.owner.sweep(name, unix_seconds(self.clock), ALL)
                swept[name], more = swept.get(name, 0) + one.deleted, one.more
        return swept

    async def documents(self) -> dict[str, list[Document]]:
        """Return everything there is, by collection."""
        return {one.name: await all_of(self.store, one.name) for one in COLLECTIONS}


class _NoQueue:
    async def stop_campaign(self, account_id: str, campaign: str) -> int:
        return 0


class PatientAccounts(FakeAccounts):
    """Everybody is an old relay account."""

    async def facts(self, account_id: str) -> AccountFacts:
        return AccountFacts(Profile.RELAY, OLD)


@asynccontextmanager
async def a_desk(directory: Path, world: World | None = None, terms: Terms | None = None) -> AsyncIterator[Desk]:
    """Run a process on a store in `directory`; opened again it holds the same."""
    world, terms = world or World(), terms or Terms(load_policy())
    given = Settings(kek=Secret(world.kek), lookup_key=Secret(world.lookup))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore.open(directory / "delivery.db", COLLECTIONS))
        boxes, dkim = world.mailboxes, FakeDkim()
        outside = Outside(world.keys, MailboxPeers(boxes, boxes, boxes, boxes, boxes), world.signer, world.servers)
        base = Base(given, store, world.clock, open_secrets(given.kek, given.lookup_key), terms=terms)
        local = make_local(base, outside)
        customers = make_customers(
            Needs(
                store=store,
                hashes=base.secrets.hashes,
                vault=base.secrets.vault,
                clock=world.clock,
                peers=DomainPeers(PatientAccounts(), dkim, NoDns()),
                http=await stack.enter_async_context(GuardedHttp()),
                letters=FakeLetters(),
                installation=Installation("mx.sealpost.test", "bounces.sealpost.test"),
                terms=terms,
            )
        )
        stack.push_async_callback(customers.close)
        people = world.customers
        asked = Asked(customers.limits, people, customers.campaigns, customers.suppressions, people, people)
        queue = make_queue(base, outside, asked, local)
        live = LiveHappenings(customers.happenings, customers.happenings, queue.erased)
        queue = make_queue(base, outside, _with(asked, live), local)
        stack.push_async_callback(queue.repository.close)
        held = make_held(base, HeldParts(queue, customers, world.keys, dkim))
        counts = DailyCounts(store, base.secrets.hashes, world.clock, terms)
        yield Desk(Node(world, store, queue), customers, counts, Owner(held, store, world.clock), dkim, terms)


def _with(asked: Asked, live: LiveHappenings) -> Asked:
    return Asked(asked.limits, asked.senders, asked.campaigns, asked.suppressions, live, asked.unsubscribes, live)


async def all_of(store: SqliteStore, name: str) -> list[Document]:
    """Return all documents of a collection, whatever their indexes, by reading the file beside the store."""
    import sqlite3

    from libs.docstore.values import decode_body

    (path, _) = store.files()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute(f'SELECT key, version, body FROM "c_{name}"').fetchall()  # noqa: S608
        return [Document(key, decode_body(body), version) for key, version, body in rows]
    finally:
        connection.close()


def _content(sender: str) -> bytes:
    return f"From: One <{sender}>\r\nSubject: zz-canary subject\r\n\r\nzz-canary words\r\n".encode()
