"""retention as real processes over real owners: killed amid sweeps and erasures, two replicas, a restore, a jump."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from protos.retention.v1 import retention_pb2 as pb
from services.retention.ledger.checking import Checker
from tests.support.later import VARIABLE, Later
from tests.support.retention_process import CLOCK, OWNERS, Retention, World, running, until, world

pytestmark = pytest.mark.timeout(180)

ADA, BOB = "a" * 32, "b" * 32
TOKEN = "receipt-token-of-ada"
RECEIPT = hashlib.sha256(TOKEN.encode()).digest()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "owners") as served:
        yield served


async def _entries(retention: Retention) -> list[dict[str, object]]:
    """Return the entries of a ledger whose chain holds."""
    text = await retention.ledger()
    verdict = Checker().check(text.splitlines(keepends=True))
    assert verdict.good or not verdict.entries, verdict.faults
    return [json.loads(line)["entry"] for line in text.splitlines()[1:] if line.startswith(b'{"entry"')]


async def _kinds(retention: Retention, *kinds: str) -> list[str]:
    return [str(entry["kind"]) for entry in await _entries(retention) if entry["kind"] in kinds]


async def test_killed_amid_a_sweep_it_goes_on(scene: World, tmp_path: Path) -> None:
    now = unix_seconds(CLOCK)
    for name in ("storage", "accounts"):
        await scene.owners[name].plant(ADA, 12_000, now - 5)
        await scene.owners[name].plant(BOB, 100)
    async with running(tmp_path, scene, settings={"BATCH": "200"}) as retention:
        for _ in range(2):
            before = await scene.left()
            await until(lambda before=before: _fewer(scene, before))
            assert await retention.end(signal.SIGKILL) == -signal.SIGKILL
            retention.start()
            await retention.answering()
        await until(lambda: _left(scene, 200), 60)
        state = await retention.state()
        assert state.leader and not state.clock_held
        rows = {(one.service, one.data_class): one for one in state.sweeps}
        assert rows["storage", "things"].fault == ""
        evidence = await _evidence(retention)
        assert all(one.overdue == 0 for one in evidence.classes)
        assert [one.count for one in evidence.classes if one.data_class == "things"].count(100) == 2
        # Everybody knows the numbers in force.
        await until(lambda: _told(scene))
        assert await retention.end() == 0
    for one in scene.owners.values():
        assert not _in_files(one.directory, f"{ADA}-{now - 5}".encode())


async def _fewer(scene: World, before: int) -> bool:
    return await scene.left() < before


async def _left(scene: World, count: int) -> bool:
    return await scene.left() == count


async def _told(scene: World) -> bool:
    return all(one.terms.active for one in scene.owners.values())


async def _evidence(retention: Retention) -> pb.Evidence:
    async with retention.called() as stub:
        found: list[pb.Evidence] = []

        async def looked() -> bool:
            found[:] = [await stub.GetEvidence(pb.GetEvidenceRequest(), timeout=5)]
            # What the owners hold after the sweep, and not before it.
            classes = [one for one in found[0].classes if one.data_class == "things"]
            return len(classes) == len(OWNERS) and all(one.count in (0, 100) for one in classes)

        await until(looked)
        return found[0]


def _in_files(directory: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def _receipt(retention: Retention, state: str) -> bool:
    async with retention.called() as stub:
        try:
            return (await stub.GetReceipt(pb.GetReceiptRequest(token=TOKEN), timeout=5)).state == state
        except NotFoundError:
            return False


async def test_killed_amid_an_erasure_it_goes_on(scene: World, tmp_path: Path) -> None:
    for one in scene.owners.values():
        await one.plant(ADA, 6000)
        await one.plant(BOB, 100)
    async with running(tmp_path, scene, settings={"BATCH": "100"}) as retention:
        scene.accounts.ask(ADA, RECEIPT)
        await until(lambda: _receipt(retention, "running"))
        for _ in range(2):
            before = await scene.left()
            await until(lambda before=before: _fewer(scene, before))
            assert await retention.end(signal.SIGKILL) == -signal.SIGKILL
            assert (retention.register / "register.jsonl").read_text().count(ADA) == 1
            retention.start()
            await retention.answering()
        await until(lambda: _receipt(retention, "done"), 60)
        del scene.accounts.waiting[ADA]
        assert await scene.left() == 100 * len(OWNERS)
        assert not any([await one.has_key(ADA) for one in scene.owners.values()])
        assert all([await one.has_key(BOB) for one in scene.owners.values()])
        async with retention.called() as stub:
            receipt = await stub.GetReceipt(pb.GetReceiptRequest(token=TOKEN), timeout=5)
        assert {line.service for line in receipt.lines} == set(scene.owners)
        assert sum(line.keys for line in receipt.lines) <= len(OWNERS)
        assert 0 < sum(line.count for line in receipt.lines) <= 6000 * len(OWNERS)
        assert receipt.keys_gone_at and receipt.done_at and receipt.entry
        kinds = await _kinds(retention, "erasure_begun", "erasure_keys", "erasure_done")
        assert kinds == ["erasure_begun", "erasure_keys", "erasure_done"]
        assert ADA.encode() not in await retention.ledger()
        assert await retention.end() == 0
    for one in scene.owners.values():
        assert not _in_files(one.directory, ADA.encode())


async def test_keys_are_gone_in_under_a_second(scene: World, tmp_path: Path) -> None:
    for one in scene.owners.values():
        await one.plant(ADA, 2000)
    async with running(tmp_path, scene) as retention:
        await until(lambda: _leading(retention))
        began = CLOCK.monotonic()
        scene.accounts.ask(ADA, RECEIPT)
        await until(lambda: _keyless(scene))
        assert CLOCK.monotonic() - began < 1.0 + 0.1, "asked for to keys gone"
        assert await retention.end() == 0


async def _keyless(scene: World) -> bool:
    return not any([await one.has_key(ADA) for one in scene.owners.values()])


async def _leading(retention: Retention) -> bool:
    state = await retention.state()
    return state.leader and len(state.sweeps) > 5


async def test_a_restored_backup_brings_nobody_back(scene: World, tmp_path: Path) -> None:
    for one in scene.owners.values():
        await one.plant(BOB, 100)
    async with running(tmp_path, scene) as retention:
        scene.accounts.ask(ADA, RECEIPT)
        await until(lambda: _receipt(retention, "done"))
        del scene.accounts.waiting[ADA]
        assert await retention.end() == 0
        # The backup is older: it holds the account as it was, and an older store of retention.
        for one in scene.owners.values():
            await one.plant(ADA, 500)
        for path in (retention.directory / "data").iterdir():
            path.unlink()
        (retention.register / "replay.pending").touch()
        retention.start()
        await retention.answering()
        await until(lambda: _left(scene, 100 * len(OWNERS)))
        await until(lambda: _replayed(retention))
        assert not any([await one.has_key(ADA) for one in scene.owners.values()])
        assert await _kinds(retention, "restored") == ["restored"]
        assert await retention.end() == 0


async def _replayed(retention: Retention) -> bool:
    return not (await retention.state()).replaying


async def test_two_replicas_one_leads_and_the_other_takes_over(scene: World, tmp_path: Path) -> None:
    async with running(tmp_path, scene) as first, running(tmp_path, scene, name="second") as second:
        await until(lambda: _leading(first))
        leader, other = (first, second) if b'"leading"' in first.log.read_bytes() else (second, first)
        assert b'"leading"' not in other.log.read_bytes()
        # Stopped for longer than its lease, as by a long pause of the machine, and going on as if nothing had been.
        leader.send(signal.SIGSTOP)
        await until(lambda: _said(other, b'"leading"'), 20)
        await scene.owners["storage"].plant(ADA, 50, unix_seconds(CLOCK) - 5)
        await until(lambda: _left(scene, 0))
        leader.send(signal.SIGCONT)
        await until(lambda: _said(leader, b'"lease_lost"'), 20)
        await asyncio.sleep(1)
        assert leader.log.read_bytes().count(b'"leading"') == 1
        assert await other.end(signal.SIGKILL) == -signal.SIGKILL
        await until(lambda: _again(leader), 20)
        assert await leader.end() == 0
        # Whoever stops gives its lease back, and is not waited for.
        began = CLOCK.monotonic()
        other.start()
        await other.answering()
        await until(lambda: _said(other, b'"leading"', 2))
        assert CLOCK.monotonic() - began < 15
        assert await other.end() == 0


async def _said(retention: Retention, word: bytes, times: int = 1) -> bool:
    return retention.log.read_bytes().count(word) >= times


async def _again(retention: Retention) -> bool:
    return await _said(retention, b'"leading"', 2)


async def test_a_jump_of_the_clock_stops_everything_until_it_is_confirmed(
    scene: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Later(tmp_path / "later")
    monkeypatch.setenv(VARIABLE, str(later.path))
    program = ("tests.support.later", "retention")
    async with running(tmp_path, scene, program=program) as retention:
        await until(lambda: _leading(retention))
        async with retention.called() as stub:
            with pytest.raises(ConflictError, match="clock_steady"):
                await stub.ConfirmClock(pb.ConfirmClockRequest(officer="o" * 32), timeout=5)
            later.jump(timedelta(days=-3))
            await until(lambda: _held(retention))
            await scene.owners["storage"].plant(ADA, 50, unix_seconds(CLOCK) - 4 * 86_400)
            scene.accounts.ask(BOB, RECEIPT, unix_seconds(CLOCK) - 4 * 86_400)
            await asyncio.sleep(1.5)
            assert await scene.left() == 50 and scene.accounts.begun == []
            # A new process knows as little.
            assert await retention.end(signal.SIGKILL) == -signal.SIGKILL
            retention.start()
            await retention.answering()
            await until(lambda: _again(retention))
            await asyncio.sleep(1.5)
            assert await scene.left() == 50
            state = await stub.ConfirmClock(pb.ConfirmClockRequest(officer="o" * 32), timeout=5)
            assert not state.clock_held
        await until(lambda: _left(scene, 0))
        assert await _kinds(retention, "clock_held", "clock_confirmed") == ["clock_held", "clock_confirmed"]
        assert await retention.end() == 0


async def _held(retention: Retention) -> bool:
    return (await retention.state()).clock_held
