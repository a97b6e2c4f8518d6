"""The register of erasures, and the replay of it after a restore."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Delete
from libs.owner.model import Subject
from libs.runtime.errors import UnavailableError
from services.retention.erasing.register import FILE, REGISTER, Register
from services.retention.erasing.replay import MARKER, Replay
from services.retention.owners.classes import ErasureRegister
from tests.unit.retention.erasing_scene import ADA, BOB, EVE, Scene
from tests.unit.retention.fakes import DAY, LEAD, Rules, opened


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "store") as store:
        made = Scene(store, tmp_path / "register")
        await made.guard.observe(True)
        yield made


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
