"""Erasures: killed at any step they end the same, nobody waits for who is away, and the register knows everybody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.docstore.store import Delete, Store
from libs.owner.model import Subject
from libs.runtime.errors import UnavailableError
from services.retention.erasing.erasing import Erasing, Tools
from services.retention.erasing.register import FILE, REGISTER, Register
from services.retention.erasing.replay import MARKER, Replay
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Fenced, LeaseLostError
from services.retention.ledger.ledger import Ledger
from services.retention.owners.classes import ErasureRegister, Receipts
from services.retention.repository.erasures import Erasures
from tests.unit.retention.fakes import DAY, LEAD, ModelAccounts, ModelOwner, Rules, TwoHands, following, opened, owners

ADA, BOB, EVE = "a" * 32, "b" * 32, "c" * 32
TOKEN = bytes(range(32))


class KilledError(BaseException):
    """The process is gone."""


class Scene:
    """What erases, over owners in memory; `killing` puts an end to the process at the n-th step that matters."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store, self.directory = store, directory
        self.clock = TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)
        self.accounts = ModelAccounts()
        names = ("accounts", "crypto", "storage", "delivery")
        self.owners = owners(*(ModelOwner(name, self.clock) for name in names))
        self.erasures = Erasures(store, Fenced(store))
        self.start()

    def start(self, tripwire: Callable[[], None] = lambda: None) -> None:
        """Begin a process; `tripwire` is called before each of its effects."""
        self.register = Register(self.directory, self.store)
        tools = Tools(
            accounts=_tripping(self.accounts, tripwire),
            owners={name: _tripping(owner, tripwire) for name, owner in self.owners.items()},
            erasures=_tripping(self.erasures, tripwire),
            register=_tripping(self.register, tripwire),
            evidence=_tripping(self.ledger, tripwire),
            time=self.guard,
            clock=self.clock,
            store=self.store,
        )
        self.erasing = Erasing(tools, batch=100)

    def hold(self, account: str, documents: int = 250) -> None:
        """Have every owner hold something of an account, under a key."""
        for owner in self.owners.values():
            owner.documents[account] = documents
            owner.keys.add(account)

    def ask(self, account: str, receipt: bytes = TOKEN) -> None:
        self.accounts.ask(account, self.clock.unix - 1, receipt)

    def left(self, account: str) -> int:
        return sum(owner.documents.get(account, 0) + (account in owner.keys) for owner in self.owners.values())

    async def run(self) -> None:
        self.clock.advance(1)
        await self.guard.observe(True)
        try:
            await self.erasing.run(LEAD)
        finally:
            # An account that is gone is not listed any more.
            for account in list(self.accounts.waiting):
                if not self.owners["accounts"].documents.get(account):
                    del self.accounts.waiting[account]

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.read(1, 100)]

    def lines(self) -> list[dict[str, Any]]:
        path = self.directory / FILE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _tripping(whole: Any, tripwire: Callable[[], None]) -> Any:
    """Return `whole`, of which every method calls `tripwire` first."""

    class Tripping:
        def __getattr__(self, name: str) -> Any:
            found = getattr(whole, name)
            if not callable(found):
                return found

            async def called(*given: Any, **named: Any) -> Any:
                tripwire()
                return await found(*given, **named)

            return called

    return Tripping()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "store") as store:
        made = Scene(store, tmp_path / "register")
        await made.guard.observe(True)
        yield made


async def test_all_of_an_account_goes_and_its_receipt_says_so(scene: Scene) -> None:
    scene.hold(ADA)
    scene.hold(BOB)
    scene.ask(ADA)
    await scene.run()
    assert (scene.left(ADA), scene.left(BOB)) == (0, 4 * 251)
    receipt = await scene.erasures.receipt(TOKEN.hex())
    assert receipt is not None and receipt.done_at and receipt.keys_gone_at
    assert [(line.service, line.data_class, line.count, line.keys) for line in receipt.lines] == [
        (name, f"{name}_things", 250, 1) for name in sorted(scene.owners)
    ]
    entries = await scene.ledger.read(1, 10)
    assert [entry.kind for entry in entries] == ["erasure_begun", "erasure_keys", "erasure_done"]
    assert receipt.entry == 3
    assert entries[2].data["documents"] == 1000 and entries[2].data["keys"] == 4
    assert [line["account"] for line in scene.lines()] == [ADA]
    assert scene.lines()[0].keys() == {"account", "mailbox", "day", "hash"}
    assert ADA not in str([entry.fields() for entry in entries])
    assert await scene.erasures.running() == 0


async def test_keys_go_first_everywhere_before_documents_go_anywhere(scene: Scene) -> None:
    scene.hold(ADA, 10_000)
    scene.ask(ADA)
    order: list[str] = []
    for owner in scene.owners.values():
        erase = owner.erase

        async def seen(subject: Subject, limit: int, erase: Any = erase, name: str = owner.service) -> Any:
            order.append(f"{name} {limit}")
            return await erase(subject, limit)

        owner.erase = seen  # type: ignore[method-assign]
    await scene.run()
    assert {step.split()[1] for step in order[:4]} == {"1"} and len({step.split()[0] for step in order[:4]}) == 4
    others = [place for place, step in enumerate(order[4:]) if not step.startswith("accounts")]
    last = [place for place, step in enumerate(order[4:]) if step.startswith("accounts")]
    assert max(others) < min(last), "accounts deletes before the others are done"


async def test_nobody_waits_for_an_owner_that_is_away(scene: Scene) -> None:
    for account in (ADA, BOB):
        scene.hold(account)
        scene.ask(account, account.encode())
    scene.owners["storage"].away = True
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await scene.run()
    for account in (ADA, BOB):
        assert scene.owners["crypto"].documents[account] == scene.owners["delivery"].documents[account] == 0
        receipt = await scene.erasures.receipt(account.encode().hex())
        assert receipt is not None and (receipt.keys_gone_at, receipt.done_at) == (0, 0)
    assert "erasure_keys" not in await scene.kinds()
    scene.owners["storage"].away = False
    scene.hold(EVE)
    scene.ask(EVE)
    await scene.run()
    assert scene.left(ADA) + scene.left(BOB) + scene.left(EVE) == 0
    assert (await scene.kinds()).count("erasure_done") == 3


async def test_what_is_taken_back_in_time_is_not_begun(scene: Scene) -> None:
    scene.hold(ADA)
    scene.ask(ADA)
    due = scene.accounts.due

    async def then_taken_back(until: int, limit: int) -> Any:
        found = await due(until, limit)
        scene.accounts.waiting.clear()
        return found

    scene.accounts.due = then_taken_back  # type: ignore[method-assign]
    await scene.run()
    assert scene.left(ADA) == 4 * 251
    assert scene.lines() == [] and await scene.kinds() == []
    assert await scene.erasures.running() == 0


async def test_nothing_is_begun_while_time_is_not_known(scene: Scene) -> None:
    scene.hold(ADA)
    scene.ask(ADA)
    scene.clock.step(3 * DAY)
    with pytest.raises(UnavailableError):
        await scene.run()
    assert scene.left(ADA) == 4 * 251


async def test_it_is_in_the_register_before_the_first_key_goes(scene: Scene) -> None:
    scene.hold(ADA)
    scene.ask(ADA)
    erase = scene.owners["crypto"].erase

    async def looking(subject: Subject, limit: int) -> Any:
        assert [line["account"] for line in scene.lines()] == [ADA]
        return await erase(subject, limit)

    scene.owners["crypto"].erase = looking  # type: ignore[method-assign]
    await scene.run()
    assert scene.left(ADA) == 0


async def test_killed_at_any_step_it_ends_the_same(tmp_path: Path) -> None:
    """One process after another, each killed one step later than the one before, until one comes through."""
    for step in range(1, 200):
        directory = tmp_path / str(step)
        async with opened(directory / "store") as store:
            scene = Scene(store, directory / "register")
            await scene.guard.observe(True)
            scene.hold(ADA)
            scene.hold(BOB)
            scene.ask(ADA)
            left = step
            killed = False

            def tripwire() -> None:
                nonlocal left, killed
                left -= 1
                if left == 0:
                    killed = True
                    raise KilledError

            scene.start(tripwire)
            try:
                await scene.run()
            except KilledError:
                assert killed
            scene.start()
            for _ in range(3):
                await scene.run()
            assert (scene.left(ADA), scene.left(BOB)) == (0, 4 * 251), step
            assert [line["account"] for line in scene.lines()] == [ADA], step
            kinds = await scene.kinds()
            assert kinds == ["erasure_begun", "erasure_keys", "erasure_done"], step
            receipt = await scene.erasures.receipt(TOKEN.hex())
            assert receipt is not None and receipt.done_at, step
            assert sum(line.count for line in receipt.lines) <= 1000
            if not killed:
                assert step > 20
                return
    pytest.fail("no process came through")


async def test_who_does_not_lead_any_more_does_not_go_on(scene: Scene) -> None:
    scene.hold(ADA)
    scene.ask(ADA)
    scene.owners["storage"].away = True
    with pytest.raises(UnavailableError):
        await scene.run()
    with pytest.raises(UnavailableError):
        await scene.erasing.run(following(LEAD))
    scene.owners["storage"].away = False
    with pytest.raises(LeaseLostError):
        await scene.erasing.run(LEAD)


async def test_an_erasure_without_a_token_leaves_no_receipt(scene: Scene) -> None:
    for account in (ADA, BOB):
        scene.hold(account)
        scene.ask(account, b"")
    await scene.run()
    assert scene.left(ADA) + scene.left(BOB) == 0
    assert (await Receipts(scene.store, Rules()).count()).count == 0


# The register.


async def test_a_line_cut_short_is_put_right(scene: Scene) -> None:
    await scene.register.add(Subject(ADA, "m"), 20_000)
    with (scene.directory / FILE).open("ab") as file:
        file.write(b'{"account":"bbb')
    again = Register(scene.directory, scene.store)
    await again.add(Subject(EVE, ""), 20_001)
    assert [line["account"] for line in scene.lines()] == [ADA, EVE]
    assert {one.account_id for one in await again.all()} == {ADA, EVE}


async def test_nobody_stands_in_it_twice(scene: Scene) -> None:
    for _ in range(3):
        await scene.register.add(Subject(ADA, "m"), 20_000)
    assert len(scene.lines()) == 1


async def test_file_and_copy_make_each_other_complete(scene: Scene) -> None:
    await scene.register.add(Subject(ADA, "m"), 20_000)
    await scene.register.add(Subject(BOB, "n"), 20_000)
    # A restored store has lost one of them ...
    await scene.store.write(Delete(REGISTER, BOB))
    again = Register(scene.directory, scene.store)
    assert {one.account_id for one in await again.all()} == {ADA, BOB}
    assert await scene.store.get(REGISTER, BOB) is not None
    # ... and a lost file is made again from the store.
    (scene.directory / FILE).unlink()
    again = Register(scene.directory, scene.store)
    assert {one.mailbox_id for one in await again.all()} == {"m", "n"}
    assert {line["account"] for line in scene.lines()} == {ADA, BOB}


async def test_a_damaged_line_hides_no_other(scene: Scene) -> None:
    for account in (ADA, BOB, EVE):
        await scene.register.add(Subject(account, ""), 20_000)
    path = scene.directory / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\xff\xfe nonsense\n" + lines[2])
    await scene.store.write(Delete(REGISTER, EVE))
    again = Register(scene.directory, scene.store)
    assert {one.account_id for one in await again.all()} == {ADA, BOB, EVE}


async def test_lines_go_after_their_time(scene: Scene) -> None:
    today = scene.clock.unix // DAY
    await scene.register.add(Subject(ADA, ""), today)
    await scene.register.add(Subject(BOB, ""), today + 300)
    held = ErasureRegister(scene.register, Rules())
    assert (await held.count()).count == 2
    assert (await held.sweep(scene.clock.unix + 3650 * DAY - 1, 100)).deleted == 0
    assert (await held.sweep(scene.clock.unix + 3652 * DAY, 100)).deleted == 1
    assert [line["account"] for line in scene.lines()] == [BOB]
    assert await Register(scene.directory, scene.store).all() == [Subject(BOB, "")]


# The replay.


async def test_a_restore_brings_nobody_back(scene: Scene) -> None:
    accounts = [f"{number:032x}" for number in range(40)]
    for account in accounts:
        scene.hold(account)
        await scene.register.add(Subject(account, ""), 20_000)
    scene.hold(EVE)
    replay = Replay(scene.directory, scene.register, scene.owners, scene.ledger)
    assert not await replay.pending()
    await replay.run(LEAD)
    assert scene.left(accounts[0]) == 4 * 251
    (scene.directory / MARKER).touch()
    assert await replay.pending()
    scene.owners["storage"].away = True
    with pytest.raises(UnavailableError):
        await replay.run(LEAD)
    assert await replay.pending()
    scene.owners["storage"].away = False
    await replay.run(LEAD)
    assert not await replay.pending()
    assert [scene.left(account) for account in accounts] == [0] * 40
    assert scene.left(EVE) == 4 * 251
    assert await scene.kinds() == ["restored"]


async def test_a_lost_register_is_written_anew(scene: Scene) -> None:
    await scene.register.add(Subject(ADA, "m"), 20_000)
    (scene.directory / FILE).unlink()
    register = Register(scene.directory, scene.store)
    await Replay(scene.directory, register, scene.owners, scene.ledger).run(LEAD)
    assert [line["account"] for line in scene.lines()] == [ADA]


async def test_a_replay_needs_no_clock(scene: Scene) -> None:
    scene.hold(ADA)
    await scene.register.add(Subject(ADA, ""), 20_000)
    (scene.directory / MARKER).touch()
    scene.clock.step(400 * DAY)
    await scene.guard.observe(True)
    await Replay(scene.directory, scene.register, scene.owners, scene.ledger).run(LEAD)
    assert scene.left(ADA) == 0
