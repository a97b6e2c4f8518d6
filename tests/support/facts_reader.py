"""Who counts facts, as analytics does: reads the stream from its beginning, goes by the numbers, confirms."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.events.streams import FACTS
from libs.telemetry.facts import PARTITIONS
from protos.facts.v1.facts_pb2 import Counted, FactBatch
from tests.support.nats import NatsProcess


async def connect(server: NatsProcess, name: str) -> Client:
    """Connect as user `name`, once: what the server refuses is an error."""
    context = ssl.create_default_context(cafile=str(server.tls[name] / "ca.crt"))
    context.load_cert_chain(server.tls[name] / "tls.crt", server.tls[name] / "tls.key")
    return await nats.connect(
        server.url,
        user=name,
        password=server.passwords[name].reveal(),
        tls=context,
        inbox_prefix=f"_INBOX.{name}",
        allow_reconnect=False,
        max_reconnect_attempts=1,
        connect_timeout=3,
    )


@dataclass
class FactReader:
    """Counts each batch once by its number; keeps what it has counted over restarts of the server."""

    server: NatsProcess
    confirming: bool = True
    counted: list[FactBatch] = field(default_factory=list)
    last: dict[tuple[int, int], int] = field(default_factory=dict)
    repeated: int = 0

    @property
    def facts(self) -> int:
        """How many facts are counted."""
        return sum(len(columns.cells) // 4 for batch in self.counted for columns in batch.columns)

    async def run(self) -> None:
        """Read until cancelled, over any number of connections."""
        while True:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError):
                client = await connect(self.server, "analytics")
                try:
                    await self._read(client)
                finally:
                    await client.close()
            await asyncio.sleep(0.1)

    async def _read(self, client: Client) -> None:
        broker = client.jetstream(timeout=2)
        await broker.add_stream(FACTS.config(1))
        names = [f"r{secrets.token_hex(4)}" for _ in range(PARTITIONS)]
        for partition, name in enumerate(names):
            config = ConsumerConfig(
                name=name,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.NONE,
                filter_subject=f"facts.{partition}",
                mem_storage=True,
                inactive_threshold=30.0,
            )
            await broker.add_consumer(FACTS.name, config=config)
        inbox = client.new_inbox()
        arrived = await client.subscribe(inbox)
        while client.is_connected:
            for name in names:
                wanted = f"$JS.API.CONSUMER.MSG.NEXT.{FACTS.name}.{name}"
                await client.publish(wanted, b'{"batch": 100, "no_wait": true}', reply=inbox)
            with contextlib.suppress(nats.errors.TimeoutError):
                while True:
                    message = await arrived.next_msg(timeout=0.1)
                    if not (message.headers or {}).get("Status"):
                        await self._count(client, int(message.subject.rpartition(".")[2]), message.data)

    async def _count(self, client: Client, partition: int, data: bytes) -> None:
        batch = FactBatch.FromString(data)
        place = (batch.emitter, partition)
        expected = max(self.last.get(place, 0) + 1, batch.floor)
        if batch.sequence == expected:
            self.last[place] = batch.sequence
            self.counted.append(batch)
        self.repeated += batch.sequence < expected
        if self.confirming and place in self.last:
            told = Counted(partitions=[Counted.Partition(partition=partition, sequence=self.last[place])])
            await client.publish(f"counted.{batch.emitter:016x}", told.SerializeToString())


@asynccontextmanager
async def reading(server: NatsProcess, *, confirming: bool = True) -> AsyncIterator[FactReader]:
    """Count for the time of the block."""
    reader = FactReader(server, confirming)
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
