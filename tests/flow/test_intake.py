"""Facts on their way to counts through a real NATS and real processes, all of which are killed at random moments."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.envelope import open_sealed
from libs.events.facts import FactsPublisher
from libs.events.jetstream import EventBus
from libs.events.server_config import RIGHTS
from libs.policy import load_policy
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from libs.telemetry.facts import Facts
from services.analytics.partitions import Partitions, Record, Totals
from services.analytics.partitions_counts import decode_counts, sum_counts
from services.analytics.partitions_keys import WindowKeys, counts_place
from services.analytics.partitions_pending import terms_of
from tests.support.intake_child import COLLECTIONS, HOUR, keys
from tests.support.nats import NatsProcess, run_nats

ROOT = Path(__file__).resolve().parents[2]
FACTS, UNITS = 100_000, 2_000
PAGES = ("page", "asset", "operator")
STATUS = ("2xx", "4xx")
SCANNER = b"203.0.113.254"


@dataclass
class Replica:
    """One process of the intake."""

    name: str
    nats: NatsProcess
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = {
            "name": self.name,
            "store": str(self.directory / "data" / "store.db"),
            "url": self.nats.url,
            "tls": str(self.nats.tls["analytics"]),
            "password": self.nats.passwords["analytics"].reveal(),
            "metrics": str(self.directory / f"metrics-{self.name}"),
        }
        path = self.directory / f"{self.name}.json"
        path.write_text(json.dumps(config))
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.intake_child", str(path)],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            await asyncio.to_thread(self.process.wait, 15)
            self.process = None


@dataclass
class World:
    """NATS, replicas, and an emitter in this process with a ledger of what it has recorded."""

    directory: Path
    nats: NatsProcess
    facts: Facts
    publisher: FactsPublisher
    pages: Counter[tuple[str, str]] = field(default_factory=Counter)
    recorded: int = 0

    def replica(self, name: str) -> Replica:
        return Replica(name, self.nats, self.directory)

    def record(self, count: int) -> None:
        """Record facts of units that stay within their bound, and of one that does not."""
        for _ in range(count):
            number = self.recorded
            page, status = PAGES[number % 3], STATUS[number % 2]
            unit = b"unit-%d" % (number % UNITS)
            self.facts.record("http_requests", unit, page=page, status=status, browser="firefox")
            self.pages[page, status] += 1
            self.recorded += 1
        self.facts.record("visitors", SCANNER)
        for _ in range(50):
            self.facts.record("logins", SCANNER, door="page", outcome="wrong")

    async def drained(self, seconds: float = 40) -> None:
        """Wait until all that was recorded is confirmed."""
        async with asyncio.timeout(seconds):
            while self.publisher.unconfirmed:  # noqa: ASYNC110 - it says so to nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def world_of(directory: Path) -> AsyncIterator[World]:
    """Run NATS and an emitter."""
    (directory / "data").mkdir()
    async with run_nats(directory / "nats", RIGHTS) as nats:
        clock = SystemClock()
        tls = TlsFiles(nats.tls["ingest"], clock=clock)
        bus = await EventBus.connect(nats.url, "ingest", nats.passwords["ingest"], tls, "ingest")
        facts = Facts(clock)
        publisher = FactsPublisher(facts, bus, clock)
        running = asyncio.create_task(publisher.run())
        try:
            async with asyncio.timeout(15):
                while not facts.ready:  # noqa: ASYNC110 - it says so to nobody
                    await asyncio.sleep(0.02)
            yield World(directory, nats, facts, publisher)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await bus.close()


async def counted(directory: Path) -> tuple[dict[tuple[str, str], Counter[int]], list[Record], int]:
    """Open the documents with the key: counts by cut and code over all windows, the records, and the terms."""
    async with SqliteStore.open(directory / "data" / "store.db", COLLECTIONS) as store:
        records = list((await Partitions(store).read_all()).values())
        windows = sorted({window for record in records for window in record.counts})
        found = await WindowKeys(store, keys(), HOUR).find(windows)
    assert set(found) == set(windows)
    totals: dict[tuple[str, str], Counter[int]] = {}
    for window, key in found.items():
        parts = [
            decode_counts(open_sealed(key, counts_place(record.partition, window), record.counts[window]))
            for record in records
            if window in record.counts
        ]
        for cut, cells in sum_counts(parts).items():
            for code, count in zip(cells.codes.tolist(), cells.counts.tolist(), strict=True):
                totals.setdefault(cut, Counter())[code] += count
    return totals, records, max(terms_of(records, window) for window in windows)


def assert_exact(world: World, totals: dict[tuple[str, str], Counter[int]], terms: int) -> None:
    """Compare counts before noise with what was recorded."""
    dimensions = load_policy().metrics["http_requests"].dimensions
    expected = {
        dimensions["page"].index(page) * len(dimensions["status"]) + dimensions["status"].index(status): count
        for (page, status), count in world.pages.items()
    }
    assert totals["http_requests", "by_page"] == expected
    assert totals["http_requests", "by_browser"].total() == world.recorded
    assert 20 <= totals["logins", "by_outcome"].total() <= 20 * terms
    assert 1 <= totals["visitors", "in_hour"].total() <= 2 * terms


def assert_no_unit_on_disk(world: World) -> None:
    """Search all files for pseudonyms."""
    units = [SCANNER, *(b"unit-%d" % number for number in range(0, UNITS, 20))]
    words = [world.facts.pseudonym("ip", unit) for unit in units]
    marks: list[bytes] = []
    for word in words:
        assert word is not None
        raw = word.to_bytes(8, "little")
        marks += [raw, raw[::-1], raw.hex().encode(), f"{word:016x}".encode(), str(word).encode()]
    files = [path for path in world.directory.rglob("*") if path.is_file()]
    assert any(path.name.startswith("store.db") for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark in content], path.name


async def test_counts_are_exact_whatever_is_killed(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        replica = world.replica("one")
        replica.start()
        chance = random.Random()
        killed = {4: "analytics", 9: "nats", 14: "analytics", 20: "analytics"}
        for piece in range(25):
            world.record(FACTS // 25)
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            match killed.get(piece):
                case "analytics":
                    await replica.stop(kill=True)
                    replica.start()
                case "nats":
                    await world.nats.stop(kill=True)
                    await world.nats.start()
        await world.drained()
        assert_no_unit_on_disk(world)
        await replica.stop()
        totals, records, terms = await counted(tmp_path)
        assert 1 <= terms <= 2
        assert_exact(world, totals, terms)
        sums = sum((record.totals["http_requests"] for record in records), Totals())
        assert sums == Totals(counted=FACTS)
        assert all(record.lease.owner == "" for record in records)
        assert b"sealpost_statistics_counted_total" in (tmp_path / "metrics-one").read_bytes()

        # NATS and the intake lose their memory together: units may count up to their bounds once more.
        await world.nats.stop(kill=True)
        await world.nats.start()
        replica.start()
        world.record(500)
        await world.drained()
        await replica.stop()
        totals, _records, after = await counted(tmp_path)
        assert after == terms + 1
        assert_exact(world, totals, after)


async def test_two_replicas_share_the_work_and_one_is_killed(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        one, two = world.replica("one"), world.replica("two")
        one.start()
        two.start()
        world.record(5_000)
        await world.drained()
        await asyncio.sleep(1.0)
        world.record(5_000)
        await one.stop(kill=True)
        world.record(5_000)
        await world.drained()
        await two.stop()
        totals, records, terms = await counted(tmp_path)
        assert terms == 1
        assert_exact(world, totals, terms)
        assert len(records) == 8
