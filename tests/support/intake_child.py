"""One replica of the intake as a process, without releases: python -m tests.support.intake_child CONFIG.json."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyEncryptionKeys
from libs.events.jetstream import EventBus
from libs.policy import load_policy
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from libs.runtime.secret import Secret
from libs.telemetry import metrics
from services.analytics.domain.counting import PartitionCounter
from services.analytics.intake.broker import NatsBroker
from services.analytics.intake.intake import Intake, Rhythm
from services.analytics.intake.leases import REPLICAS, Leases, Replica
from services.analytics.intake.partition import Snapshots, Tools
from services.analytics.partitions import Partitions
from services.analytics.partitions_keys import WindowKeys
from services.analytics.partitions_pending import INTAKE_COLLECTIONS, Closing

COLLECTIONS = (*INTAKE_COLLECTIONS, REPLICAS)
KEK = bytes(range(32))
HOUR = 3600


def keys() -> KeyEncryptionKeys:
    """Return the key-encryption keys of the tests."""
    return KeyEncryptionKeys({1: Secret(KEK)})


async def main(config: dict[str, str]) -> None:
    """Run until SIGTERM."""
    clock = SystemClock()
    tls = TlsFiles(Path(config["tls"]), clock=clock)
    async with SqliteStore.open(Path(config["store"]), COLLECTIONS) as store:
        bus = await EventBus.connect(config["url"], "analytics", Secret(config["password"]), tls, "analytics")
        tools = Tools(
            partitions=Partitions(store),
            leases=Leases(store, clock, Replica.here(config["name"]), 3),
            keys=WindowKeys(store, keys(), HOUR),
            broker=NatsBroker(bus, clock),
            clock=clock,
            hour_seconds=HOUR,
            make_counter=lambda partition: PartitionCounter(load_policy().metrics, HOUR, partition),
            snapshots=Snapshots(commits=5),
        )
        intake = Intake(tools, Closing(store), Rhythm(0.2))
        running = asyncio.create_task(intake.run())
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            Path(config["metrics"]).write_bytes(metrics.render()[0])
        finally:
            await bus.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
