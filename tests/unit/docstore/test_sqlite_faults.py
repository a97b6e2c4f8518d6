"""Disks that fail: refused writes change nothing, acknowledged ones stay, and all goes on once the disk is well."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert
from libs.runtime.errors import SealpostError
from tests.support.docstore_child import COUNTERS, COUNTS, NOTES
from tests.support.tools import require_tool

CHILD = [sys.executable, "-m", "tests.support.docstore_child"]


class Ledger:
    """What the child was told."""

    def __init__(self, output: str) -> None:
        lines = [line.split() for line in output.splitlines()]
        self.ok = [int(line[1]) for line in lines if line[0] == "ok"]
        self.refused = [int(line[1]) for line in lines if line[0] == "no"]
        self.reasons = {line[2] for line in lines if line[0] == "no"}

    async def check(self, path: Path, *, died: bool = False) -> None:
        """Compare with what the file holds. A write that was refused just before death may have happened."""
        async with SqliteStore.open(path, (NOTES, COUNTS)) as store:
            counted = 0
            for place in range(COUNTERS):
                counter = await store.get(COUNTS, f"c{place}")
                value = counter.body["n"] if counter else 0
                assert isinstance(value, int)
                counted += value
            sums = len([number for number in self.ok if number % 4 == 0])
            assert counted == sums or (died and counted > sums)
            for number in [number for number in self.ok if number % 4]:
                found = await store.get(NOTES, f"k{number}")
                assert found is not None
                assert found.body["raw"] == number.to_bytes(4, "big") * 1000
            for number in [number for number in self.refused if number % 4 and not died]:
                assert await store.get(NOTES, f"k{number}") is None


def failing_fsync(path: Path, when: str) -> list[str]:
    strace = require_tool("strace")
    inject = ["-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:error=EIO:when={when}"]
    return [strace, "-f", "-qq", "-o", str(path.with_name("trace")), *inject, *CHILD, str(path)]


@pytest.mark.parametrize("when", ["20..21", "30..34", "40+7"])
async def test_failing_fsync_refuses_and_recovers(tmp_path: Path, when: str) -> None:
    path = tmp_path / "store.db"
    if when == "40+7":  # every seventh, for ever: the child would never end
        with subprocess.Popen(failing_fsync(path, when), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            child = int(process.stdout.readline().split()[1])
            output = "".join(process.stdout.readline() for _ in range(1500))
            os.kill(child, signal.SIGKILL)
            output += process.stdout.read()
        ledger = Ledger(output)
        await ledger.check(path, died=True)
    else:
        done = await asyncio.to_thread(
            subprocess.run, failing_fsync(path, when), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        ledger = Ledger(done.stdout)
        await ledger.check(path)
    assert ledger.refused
    assert ledger.reasons == {"storage_unavailable"}
    assert len(ledger.ok) >= 200


async def test_files_that_may_not_grow_refuse_and_recover(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    command = [*CHILD, str(path), str(600 * 1024)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    ledger = Ledger(done.stdout)
    await ledger.check(path)
    assert len(ledger.refused) > 100
    assert ledger.reasons == {"storage_unavailable"}


async def test_a_full_disk_refuses_writes_serves_reads_and_recovers(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        (disk / "ballast").write_bytes(bytes(600 * 1024))
        async with SqliteStore.open(disk / "store.db", (NOTES,)) as store:
            written = await fill(store, 0)
            assert 10 < written < 400
            for number in range(written):
                assert await store.get(NOTES, f"k{number}") is not None
            (disk / "ballast").unlink()
            assert await fill(store, 1000) > 5
        subprocess.run([require_tool("mount"), "-o", "remount,size=8m", str(disk)], check=True)
        async with SqliteStore.open(disk / "store.db", (NOTES,)) as store:
            assert await store.get(NOTES, f"k{written - 1}") is not None
            assert await store.get(NOTES, f"k{written}") is None


async def fill(store: SqliteStore, first: int) -> int:
    """Insert until refused; return how many were accepted."""
    for number in range(first, first + 1000):
        try:
            await store.write(Insert(NOTES, f"k{number}", {"raw": os.urandom(4000)}))
        except SealpostError as error:
            assert error.reason == "storage_unavailable"
            return number - first
    return 1000


@contextmanager
def tiny_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of 2 MB; skip where that is not allowed."""
    mount, unmount = require_tool("mount"), require_tool("umount")
    place.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield place
    finally:
        subprocess.run([unmount, str(place)], check=True)
