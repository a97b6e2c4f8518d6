"""An erasure from the end of its grace to its receipt, on a whole platform: one account with very many mails.

The account is signed up as anybody is, and its mails are written to storage's store as storage writes them, of the size
that sealed mails of 4 KB have, beside as many of others. Then its owner has asked to be erased, and the grace ends at
a full second. From there on it is watched, by what retention counts, when all owners have destroyed their keys, and
when the receipt is written; and then looked for in storage's files.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.ids import new_id
from services.accounts.domain.model import Erasure
from services.accounts.repository import COLLECTIONS as ACCOUNTS
from services.accounts.repository import keep_in
from services.storage.domain import NewMessage
from services.storage.repository import COLLECTIONS, MESSAGES, message_key, new_fields, shown
from tests.support.backup_people import Person, read_by_many, send_to_many, sign_up_many, what_opens
from tests.support.ledger_procs import metrics
from tests.support.platform import RunningPlatform, running_platform

_STAGES = re.compile(r'^sealpost_retention_erasures_total\{stage="(\w+)"\} ([0-9.]+)', re.MULTILINE)
_BATCH = 2000
_ENVELOPE_BYTES, _BODY_BYTES = 700, 3800
_FIRST = 1_700_000_000
_OTHERS = 100
# Until services that have just begun, and the compaction that each owes at first, are through.
_CALM_SECONDS = 10.0
_AHEAD_SECONDS = 3
_LONGEST_SECONDS = 600.0


def measure(mails: int = 100_000) -> dict[str, Any]:
    """Erase an account with so many mails beside as many of others."""
    with tempfile.TemporaryDirectory(prefix="sealpost-erasure-") as folder:
        home = Path(folder) / "home"
        with running_platform(home) as platform:
            people = asyncio.run(sign_up_many(platform, 2))
        asyncio.run(_fill(home / "data" / "storage" / "storage.db", people[0].mailbox_id, mails))
        with running_platform(home) as platform:
            send_to_many(platform, people, "hello")
            time.sleep(_CALM_SECONDS)
            return _erase(platform, people)


def _erase(platform: RunningPlatform, people: Sequence[Person]) -> dict[str, Any]:
    leaving, staying = people
    load = os.getloadavg()[0]
    due = asyncio.run(_ask(platform.home, leaving.account_id))
    keys = _when(platform, "keys", 0.02) - due
    done = _when(platform, "done", 0.1) - due
    files = [path for path in (platform.home / "data" / "storage").iterdir() if path.is_file()]
    left = sum(path.read_bytes().count(leaving.mailbox_id.encode()) for path in files)
    if asyncio.run(what_opens(platform, [leaving])) or not asyncio.run(read_by_many(platform, [staying]))[0]:
        raise RuntimeError("what is left is not what should be")
    return {
        "keys_gone_seconds": round(keys, 2),
        "complete_seconds": round(done, 2),
        "left_in_files": left,
        "load_average": round(load, 1),
    }


async def _ask(home: Path, account_id: str) -> int:
    """Have the grace of an account end in a moment; return when, Unix seconds. As its owner asks, two weeks earlier."""
    async with await SqliteStore.open(home / "data" / "accounts" / "accounts.db", ACCOUNTS) as store:
        erasures = keep_in(store).erasures
        leaving = await erasures.get(account_id)
        if leaving is None:
            raise RuntimeError("there is no such account")
        due = unix_seconds(SystemClock()) + _AHEAD_SECONDS
        receipt = hashlib.sha256(secrets.token_bytes(32)).digest()
        await erasures.ask(leaving, Erasure(due - 14 * 86_400, due, receipt))
    return due


def _when(platform: RunningPlatform, stage: str, every: float) -> float:
    """Return when one erasure has come so far, Unix seconds."""
    end = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < end:
        counts = dict(_STAGES.findall(metrics(platform, "retention")))
        if float(counts.get(stage, 0)) >= 1:
            return SystemClock().now().timestamp()
        time.sleep(every)
    raise RuntimeError("the erasure is not through")


async def _fill(file: Path, mailbox: str, mails: int) -> None:
    """Write so many mails to a mailbox, and as many to others, a hundred of each for each second."""
    others = [new_id() for _ in range(_OTHERS)]
    async with await SqliteStore.open(file, COLLECTIONS) as store:
        for first in range(0, 2 * mails, _BATCH):
            await store.write_many(
                [
                    _insert(mailbox if number % 2 else others[number % _OTHERS], _FIRST + number // 200)
                    for number in range(first, min(first + _BATCH, 2 * mails))
                ]
            )


def _insert(mailbox: str, at: int) -> Insert:
    message = NewMessage(
        mailbox,
        f"{at:010x}{os.urandom(11).hex()}",
        at // 60,
        4096,
        "openpgp",
        os.urandom(_ENVELOPE_BYTES),
        os.urandom(_BODY_BYTES),
        key_id="f" * 40,
    )
    fields = new_fields(message, "inbox", "", _BODY_BYTES)
    return Insert(MESSAGES, message_key(mailbox, message.message_id), {**fields, **shown(fields)})
