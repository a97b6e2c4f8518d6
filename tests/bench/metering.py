"""Metering: from the bytes of events to durable counters, on SQLite and one core.

A million events of 10,000 mailboxes come in batches, one in ten of them a second time, in a process of its own that is
bound to one core. What is timed is all of it: reading the event, finding the repetitions, the fsynced log and adding it
up, with the counters checked against what was told at the end. Rates are events told by seconds of the wall, and by
those of the processor, which other programs do not lengthen.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.envelope import KeyedHash
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.secret import Secret
from protos.events.v1.events_pb2 import MailStored
from services.billing.domain.model import DAY, Meter
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.decoding import use_of
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.platform import ROOT

_BATCH = 4096
_MAILBOXES = 10_000
_EVENTS = 1_000_000
_AGAIN = 10
_FOLD_EVERY = 50


def measure() -> dict[str, Any]:
    """Return the figures."""
    command = [sys.executable, "-m", "tests.bench.metering"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _events(now: int) -> Iterator[list[Event]]:
    batch: list[Event] = []
    for number in range(_EVENTS):
        told = MailStored(
            mailbox_id=f"{number * 7919 % _MAILBOXES:032x}", message_id=f"{now:010x}{number:022x}", owned=True
        )
        event = Event(f"{number:032x}", "mail.stored.v1", told.SerializeToString())
        batch += [event] if number % _AGAIN else [event, event]
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _measure(home: Path) -> dict[str, Any]:
    clock = SystemClock()
    now = unix_seconds(clock)
    batches = list(_events(now))
    told = sum(map(len, batches))
    async with await SqliteStore.open(home, (GONE, METER_LOG, STATE, COUNTERS)) as store:
        intake, folder = Intake(store, KeyedHash(Secret(b"a" * 64)), clock, keep_days=40), Folder(store, gone_of(store))
        wall, cpu = time.perf_counter(), time.process_time()
        counted = 0
        for position, batch in enumerate(batches):
            counted += await intake.take([use for event in batch if (use := use_of(event)) is not None])
            if position % _FOLD_EVERY == 0:
                await folder.step()
        taken = time.perf_counter() - wall
        while await folder.step():
            pass
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        day = now // DAY
        found = 0
        for number in range(_MAILBOXES):
            found += (await Counting(store).of([f"{number:032x}"], day, day))[day][Meter.MAILS_STORED]
    if not counted == found == _EVENTS:
        raise RuntimeError("the counters are not what was told")
    return {
        "events_told": told,
        "events_counted": counted,
        "per_second": told / wall,
        "per_second_of_processor": told / cpu,
        "per_second_without_adding_up": told / taken,
    }


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with TemporaryDirectory(prefix="sealpost-bench-") as folder:
        print(json.dumps(asyncio.run(_measure(Path(folder)))))
