"""What retention answers: receipts by token, roots, the state, evidence; and roles that changed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Event, Store
from libs.owner.model import Subject
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from protos.events.v1.events_pb2 import RoleChanged
from protos.retention.v1 import retention_pb2 as pb
from services.retention.calls import Calls, Parts
from services.retention.domain.ports import CanaryState, ClauseResult, Held
from services.retention.erasing.register import Register
from services.retention.erasing.replay import MARKER, Replay
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Fenced, Lease
from services.retention.ledger.export import LedgerFile
from services.retention.ledger.ledger import Ledger
from services.retention.ledger.roots import Roots
from services.retention.ledger.signing import SigningKeys
from services.retention.probes.results import NoResults
from services.retention.repository.books import Books
from services.retention.repository.erasures import Erasure, Erasures, Line, Receipt
from services.retention.roles import Roles
from services.retention.rpc import Parts as RpcParts
from services.retention.rpc import RetentionRpc
from tests.unit.retention.fakes import DAY, LEAD, ModelAccounts, TwoHands, opened

ADA = "a" * 32
TOKEN = "token-of-ada"
KEY = hashlib.sha256(TOKEN.encode()).digest()


class Found(NoResults):
    """One clause and one canary."""

    async def clauses(self) -> list[ClauseResult]:
        return [ClauseResult("E1", "pass", 5, "", 3)]

    async def canaries(self) -> list[CanaryState]:
        return [CanaryState("session", 1, 2, "gone", 3)]


class Scene:
    """The calls over a store."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.clock = TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)
        self.accounts = ModelAccounts()
        self.erasures = Erasures(store, Fenced(store))
        self.books = Books(store, Fenced(store))
        self.lease = Lease(store, self.clock, 15)
        self.roots = Roots(store, self.ledger, SigningKeys("11" * 32), self.guard)
        self.directory = directory

        async def in_force() -> int:
            return 7

        self.calls = Calls(
            Parts(
                books=self.books,
                erasures=self.erasures,
                accounts=self.accounts,
                lease=self.lease,
                guard=self.guard,
                roots=self.roots,
                file=LedgerFile(self.ledger, self.roots),
                replay=Replay(directory, Register(directory, store), {}, self.ledger),
                results=Found(),
                in_force=in_force,
                services=("storage", "accounts"),
                clock=self.clock,
            )
        )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "store") as store:
        made = Scene(store, tmp_path)
        await made.guard.observe(True)
        yield made


async def test_a_receipt_by_its_token(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="receipt"):
        await scene.calls.receipt(TOKEN)
    scene.accounts.ask(ADA, scene.clock.unix + 10 * DAY, KEY)
    scene.clock.advance(2)
    waiting = await scene.calls.receipt(TOKEN)
    assert (waiting.state, waiting.due) == ("waiting", scene.clock.unix - 2 + 10 * DAY)
    running = Erasure(Subject(ADA), KEY.hex(), 1, 2, "r" * 32)
    await scene.erasures.put(LEAD, running)
    assert (await scene.calls.receipt(TOKEN)).state == "running"
    lines = [Line("crypto", "account_key", 1, 1), Line("accounts", "account", 1, 0, 2, 30_000)]
    await scene.erasures.keep(KEY.hex(), Receipt(1, 2, 3, 4, lines, 9))
    await scene.erasures.keep(KEY.hex(), Receipt(1, 2, 3, 5, [], 10))
    done = await scene.calls.receipt(TOKEN)
    assert (done.state, done.keys_gone_at, done.done_at, done.entry) == ("done", 3, 4, 9)
    assert done.lines[0] == pb.ReceiptLine(
        service="accounts", data_class="account", count=1, kept=2, kept_until_day=30_000
    )


@pytest.mark.parametrize("token", ["", "x" * 101, "ü"])
async def test_what_is_no_token_finds_nothing(scene: Scene, token: str) -> None:
    with pytest.raises(NotFoundError):
        await scene.calls.receipt(token)


async def test_the_state_and_the_evidence(scene: Scene) -> None:
    assert (await scene.calls.state()).leader is False
    lead = await scene.lease.take(None)
    assert lead is not None
    book = await scene.books.open(lead, "storage")
    now = scene.clock.unix
    book.hold([Held("mail", 3, True, now - 90), Held("folder", 2)], now)
    book.swept("mail", now, 5)
    book.failed("folder", "busy")
    book.round = now
    await scene.books.write(lead, book)
    scene.clock.advance(7)
    state = await scene.calls.state()
    assert (state.leader, state.clock_held, state.last_round, state.replaying) == (True, False, 7, False)
    swept = {(one.data_class, one.deleted, one.fault) for one in state.sweeps}
    assert swept == {("mail", 5, ""), ("folder", 0, "busy")}
    evidence = await scene.calls.evidence()
    mail = evidence.classes[0]
    assert (mail.data_class, mail.count, mail.at_least, mail.overdue, mail.last_sweep) == ("mail", 3, True, 90, now)
    assert (evidence.version, evidence.clauses[0].clause, evidence.canaries[0].state) == (7, "E1", "gone")
    assert not evidence.HasField("root")
    (scene.directory / MARKER).touch()
    assert (await scene.calls.state()).replaying


async def test_roots_and_the_ledger(scene: Scene) -> None:
    await scene.ledger.append("probe", {"clause": "E1"})
    scene.clock.advance(DAY)
    await scene.guard.observe(True)
    await scene.roots.run(LEAD)
    found = await scene.calls.roots(0)
    assert [len(key) for key in found.public_keys] == [32]
    assert (found.roots[0].entry, len(found.roots[0].hash), len(found.roots[0].key_id)) == (1, 32, 8)
    assert (await scene.calls.evidence()).root == found.roots[0]
    text = b"".join([part.data async for part in scene.calls.ledger("", "")])
    assert text.count(b"\n") == 3
    for limit in (-1, 401):
        with pytest.raises(InvalidError):
            await scene.calls.roots(limit)


async def test_the_clock_is_confirmed_once(scene: Scene) -> None:
    with pytest.raises(ConflictError):
        await scene.calls.confirm_clock("o" * 32)
    scene.clock.step(5 * DAY)
    await scene.guard.observe(True)
    assert (await scene.calls.state()).clock_moved == 5 * DAY
    assert not (await scene.calls.confirm_clock("o" * 32)).clock_held


async def test_probes_of_nothing(scene: Scene) -> None:
    assert (await scene.calls.run_probes("", "o" * 32)).version == 7
    with pytest.raises(NotFoundError):
        await scene.calls.run_probes("E99", "o" * 32)


async def test_parts_that_are_not_there_are_unavailable(scene: Scene) -> None:
    rpc = RetentionRpc(RpcParts(scene.calls))
    context: object = None
    with pytest.raises(UnavailableError):
        await rpc.ListVersions(pb.ListVersionsRequest(), context)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        await rpc.OpenCase(pb.OpenCaseRequest(), context)  # type: ignore[arg-type]
    assert (await rpc.GetState(pb.GetStateRequest(), context)).leader is False  # type: ignore[arg-type]


async def test_roles_that_change_are_evidence_once_each(scene: Scene) -> None:
    roles = Roles(scene.ledger)
    granted = Event("e" * 32, "role.changed.v1", RoleChanged(role="disclosure", granted=True).SerializeToString())
    revoked = Event("f" * 32, "role.changed.v1", RoleChanged(role="disclosure").SerializeToString())
    for event in (granted, granted, revoked, revoked):
        await roles.handle(event)
    entries = await scene.ledger.read(1, 10)
    assert [(entry.kind, entry.data) for entry in entries] == [
        ("role_granted", {"role": "disclosure"}),
        ("role_revoked", {"role": "disclosure"}),
    ]
    for payload in (b"\xff", RoleChanged(role="king").SerializeToString()):
        with pytest.raises(InvalidError):
            await roles.handle(Event("0" * 32, "role.changed.v1", payload))
