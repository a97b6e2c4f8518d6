"""What a decision about an allowance costs whoever meters: when it is leased, and with its share of asking.

The server is the real one: grants on SQLite, behind the same batcher; the wire is left out. One account, one meter that
has no bound of a day, 200,000 decisions; then ten thousand accounts, each asked for the first time, with 64 at once.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from libs.allowance.allowances import API_OPERATIONS, Account, Allowances, Answer, Limits, Question
from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault
from libs.local.plan import CATALOGUE
from libs.runtime.clock import SystemClock
from libs.runtime.errors import SealpostError
from libs.runtime.secret import Secret
from services.billing.allowance.counts import GRANTS
from services.billing.allowance.grants import Grants
from services.billing.allowance.model import Ask
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.catalogue import load_catalogues
from services.billing.domain.model import Meter, Profile
from services.billing.gone import GONE
from services.billing.metering.intake import Intake
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from services.billing.plans import Plans
from tests.support.billing import gone_of

_LEASED = 200_000
_ROUNDS = 5
_ACCOUNTS = 10_000
_AT_ONCE = 64


class _Granter:
    """Billing's grants without a wire."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    async def grant(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        asks = [
            Ask(one.account.account_id, "", Profile.SEALED, Meter(one.meter), one.wanted, one.returned, 0, one.day)
            for one in questions
        ]
        return [
            one if isinstance(one, SealpostError) else Answer(one.units, one.until, one.refusal, Limits(-1, -1, False))
            for one in await self._grants.grant(asks)
        ]


def measure() -> dict[str, Any]:
    """Return the figures."""
    with TemporaryDirectory(prefix="sealpost-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(home: Path) -> dict[str, Any]:
    clock, offers = SystemClock(), load_catalogues(CATALOGUE)
    async with await SqliteStore.open(home, (CUSTOMERS, GONE, GRANTS, METER_LOG, STATE)) as store:
        vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
        customers = Customers(store, vault, clock, gone_of(store), offers.default_plan)
        plans = Plans(customers, offers, clock)
        for number in range(2):
            await plans.change(f"leased{number}", "", Profile.SEALED, "business")
        hashes = KeyedHash(Secret(b"h" * 32))
        grants = Grants(store, plans, Intake(store, hashes, clock, 40), clock)
        return {**await _leased(_Granter(grants), clock), **await _first(_Granter(grants), clock)}


async def _leased(granter: _Granter, clock: SystemClock) -> dict[str, Any]:
    allowances, account = Allowances(granter, clock), Account("leased0", "sealed")
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for _ in range(_LEASED // _ROUNDS):
            await allowances.allow(account, API_OPERATIONS)
        rounds.append((time.perf_counter() - began) / (_LEASED // _ROUNDS))
    # The same without an allowance: the loop and the call.
    began = time.perf_counter()
    for _ in range(_LEASED):
        await _nothing(account, API_OPERATIONS)
    empty = (time.perf_counter() - began) / _LEASED
    await allowances.allow(account, API_OPERATIONS, 90)
    alone = []
    for _ in range(9):
        began = time.perf_counter()
        await allowances.allow(account, API_OPERATIONS)
        alone.append(time.perf_counter() - began)
    return {
        "microseconds_with_asking": statistics.median(rounds) * 1e6,
        "microseconds_when_leased": statistics.median(alone) * 1e6,
        "microseconds_of_an_empty_call": empty * 1e6,
    }


async def _first(granter: _Granter, clock: SystemClock) -> dict[str, Any]:
    allowances, turns = Allowances(granter, clock), asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            await allowances.allow(Account(f"first{number}", "sealed"), API_OPERATIONS)

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(_ACCOUNTS)))
    return {"first_asks_per_second": _ACCOUNTS / (time.perf_counter() - began)}


async def _nothing(account: Account, meter: str) -> None:
    """Do nothing."""
