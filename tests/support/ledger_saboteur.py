"""A service with a fault or without a safeguard: what the ledger test must get over, and what it must notice.

    LEDGER_SABOTAGE=storage:sync_off,ingest:spool python -m tests.support.ledger_saboteur platform

starts the platform as `python -m services` does, but each service by this module, which spoils what the variable names
and then runs the service as it is. Faults happen once in each home; a missing safeguard is missing for good.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import secrets
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.altered import replace, run

VARIABLE = "LEDGER_SABOTAGE"
SCRATCH = "LEDGER_SCRATCH"
# Settings that single services get besides: {"delivery": {"LEASE_SECONDS": "5"}}.
TUNING = "LEDGER_TUNING"


def sync_off() -> None:
    """Take the fsync out of SQLite."""
    sqlite_writer = importlib.import_module("libs.docstore.sqlite_writer")
    connect = sqlite_writer.connect_writer

    def connect_unsafely(path: Path) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(path)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    replace(sqlite_writer, "connect_writer", connect_unsafely)


def crash_after_append() -> None:
    """Die once after a commit of mail and before the answer."""
    from services.storage.append import Appender

    append = Appender.append

    async def append_and_die(self: Appender, batch: Any) -> Any:
        answer = await append(self, batch)
        if any(error is None for error in answer):
            _die_once("append")
        return answer

    replace(Appender, "append", append_and_die)


def append_dedupe_off() -> None:
    """Store what comes, also if it has been stored already; only members' mail opens under another id."""
    from services.storage import rpc

    new_message = rpc._new_message

    def as_new(message: Any) -> Any:
        if message.scheme == "openpgp":
            message.message_id = message.message_id[:10] + secrets.token_hex(11)
        return new_message(message)

    replace(rpc, "_new_message", as_new)


def crash_after_publish() -> None:
    """Die once between the publication of events and the note that they are published."""
    from libs.docstore.sqlite import SqliteStore

    clear = SqliteStore.clear_events

    async def clear_or_die(self: SqliteStore, events: Any) -> None:
        if events:
            _die_once("publish")
        await clear(self, events)

    replace(SqliteStore, "clear_events", clear_or_die)


def event_dedupe_off() -> None:
    """Publish every time under another id."""
    from libs.events.envelope import EVENT_ID

    jetstream = importlib.import_module("libs.events.jetstream")
    headers_of = jetstream.headers_of
    replace(jetstream, "headers_of", lambda event: {**headers_of(event), EVENT_ID: secrets.token_hex(16)})


def spool() -> None:
    """Write every mail to a file before it is handed on, as mail servers do."""
    from services.ingest.receive import Inbound

    receive = Inbound.receive
    folder = Path(os.environ[SCRATCH]) / "spool"
    folder.mkdir(exist_ok=True)

    async def spool_and_receive(self: Inbound, mail: Any, authentication: Any) -> str:
        (folder / secrets.token_hex(8)).write_bytes(bytes(mail.content))
        return await receive(self, mail, authentication)

    replace(Inbound, "receive", spool_and_receive)


def hurry() -> None:
    """Look again after seconds where the queue waits half a minute or a whole one; the rest there are settings for."""
    for module, name in (("intake", "_UNOPENED_SECONDS"), ("worker", "_AGAIN_SECONDS"), ("attempt", "_REPORTS_AGAIN")):
        replace(importlib.import_module(f"services.delivery.worker.{module}"), name, 2)


def settle_skipped() -> None:
    """Never write down that a mail on its way out is done."""
    from libs.runtime.errors import ConflictError
    from services.delivery.queue.repository import QueueRepository

    async def forget(self: QueueRepository, entry: Any, expires: int, beside: Any = ()) -> list[Exception]:
        return [ConflictError("exists") for _ in beside]

    replace(QueueRepository, "settle", forget)


def crash_after_reply() -> None:
    """Die once when a remote server has taken a mail, before that is written down."""
    from services.delivery.transport.sender import MxTransport

    send = MxTransport.send

    async def send_and_die(self: MxTransport, outgoing: Any) -> Any:
        outcomes = await send(self, outgoing)
        if any(200 <= one.code < 300 for one in outcomes):
            _die_once("reply")
        return outcomes

    replace(MxTransport, "send", send_and_die)


def queue_forgets() -> None:
    """Accept each fifth mail that is to go out without keeping it anywhere."""
    from services.delivery.worker.entrance import Entrance

    put = Entrance.put
    turns = itertools.cycle((True, True, True, True, False))

    async def put_or_forget(self: Entrance, order: Any, prepared: Any) -> None:
        if next(turns):
            await put(self, order, prepared)

    replace(Entrance, "put", put_or_forget)


def queue_spool() -> None:
    """Write every mail on its way out to a file as well, as mail servers do."""
    from services.delivery.queue.repository import QueueRepository

    insert = QueueRepository.insert
    folder = Path(os.environ[SCRATCH]) / "queue"
    folder.mkdir(exist_ok=True)

    async def spool_and_insert(self: QueueRepository, entry: Any, *others: Any) -> None:
        (folder / secrets.token_hex(8)).write_bytes(bytes(entry.content))
        await insert(self, entry, *others)

    replace(QueueRepository, "insert", spool_and_insert)


_KINDS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        sync_off,
        crash_after_append,
        append_dedupe_off,
        crash_after_publish,
        event_dedupe_off,
        spool,
        hurry,
        settle_skipped,
        crash_after_reply,
        queue_forgets,
        queue_spool,
    )
}


def _die_once(name: str) -> None:
    marker = Path(os.environ[SCRATCH]) / f"died-{name}"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _spoil(role: str) -> None:
    service, _, worker = role.partition(".")
    for entry in os.environ[VARIABLE].split(","):
        where, _, kind = entry.partition(":")
        if where == service:
            _KINDS[kind]()
    if not worker:
        for name, text in json.loads(os.environ[TUNING]).get(service, {}).items():
            os.environ[f"SEALPOST_{name}"] = text


if __name__ == "__main__":
    sys.exit(run(__spec__.name, _spoil))
