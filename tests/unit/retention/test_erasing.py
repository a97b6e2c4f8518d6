"""Erasures: killed at any step they end the same, nobody waits for who is away, and the register knows everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.owner.model import Subject
from libs.runtime.errors import UnavailableError
from services.retention.leading.lease import LeaseLostError
from services.retention.owners.classes import Receipts
from tests.unit.retention.erasing_scene import ADA, BOB, EVE, TOKEN, KilledError, Scene
from tests.unit.retention.fakes import DAY, LEAD, Rules, following, opened


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
    assert all(int(step.split()[1]) <= 50 for step in order[:4]) and len({step.split()[0] for step in order[:4]}) == 4
    assert "accounts 1" in order[:4], "the account stays as long as anything of it does"
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
