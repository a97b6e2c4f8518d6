"""A run of the outward ledger test: a world, a platform that is quick to try again, accounts, a load, the reckoning."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dkim

from libs.docstore.sqlite_schema import connect_reader
from tests.support.ledger import Load, load
from tests.support.ledger_check import StoredCopy
from tests.support.ledger_journal import Ledger
from tests.support.ledger_mailboxes import Member, of_member
from tests.support.ledger_platform import spoiled_platform
from tests.support.ledger_procs import wait_for
from tests.support.operators import dns_records
from tests.support.outward_check import Found, Reckoning, judge_outward
from tests.support.outward_mail import RELAYS, OutwardAssignment, OutwardRun
from tests.support.outward_world import Arrival, OutwardWorld, outward_world
from tests.support.platform import RunningPlatform
from tests.support.sender import Sender, sign_up

# Where accounts are made from (tests/support/sender.py); it may stand in no log.
SIGNED_UP_FROM = "127.78.0."
# Minutes become seconds.
_QUICK = {"RETRY_SECONDS": "1,1,2,2,3", "POLL_SECONDS": "0.5"}
_SETTLED_SECONDS = 90.0


@dataclass
class Outward:
    """A run. `deaths`: when delivery was killed (monotonic)."""

    world: OutwardWorld
    platform: RunningPlatform
    folder: Path
    run: OutwardRun
    senders: list[Sender] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)

    def sign_up(self) -> None:
        """Make the accounts."""

        def one(number: int, address: str) -> Sender:
            name, _, domain = address.partition("@")
            return sign_up(self.platform, name, domain, number + 1)

        addresses = self.run.accounts()
        with ThreadPoolExecutor(2) as pool:
            self.senders = list(pool.map(one, range(len(addresses)), addresses))

    @contextmanager
    def load(self, mails: int, most: int = 3000, pace: float = 0.04) -> Iterator[Load]:
        """Have a client submit at least so many mails, and more until it is told to end."""
        assignment = OutwardAssignment(
            self.run,
            "127.0.0.1",
            self.platform.submissions_port,
            str(self.folder / "journal"),
            mails,
            most,
            starttls_port=self.platform.submission_port,
            passwords=tuple(sender.app_password for sender in self.senders),
            ca=str(self.platform.home / "tls" / "ca.crt"),
            pace=pace,
        )
        with load(assignment, "tests.support.outward_client") as client:
            yield client

    def queued(self) -> int:
        """Return how many mails are in the queue."""
        with closing(connect_reader(self.platform.home / "data" / "delivery" / "delivery.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM c_mail WHERE f_state = 'queued'").fetchone()
        return int(count)

    def settle(self) -> float:
        """Wait until the queue is empty; return how many seconds that took."""
        return wait_for("every mail settled", self._is_empty, _SETTLED_SECONDS)

    def _is_empty(self) -> bool:
        try:
            return self.queued() == 0
        except sqlite3.Error:
            # It may be looked at while its owner begins.
            return False

    def found(self) -> Found:
        """Return what has come of it all so far."""
        return Found(self.world.arrivals(), self.reports(), self.deaths)

    def reports(self) -> list[StoredCopy]:
        """Return everything in the mailboxes of the senders."""
        return [copy for one in self.senders for copy in of_member(Member(one.address, one.client))]

    def reckon(self, ledger: Ledger) -> Reckoning:
        """Judge everything."""
        return judge_outward(self.run, ledger, self.found())

    def metered(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Return how many deliveries billing has counted for each sender, once it has as many as are wanted."""
        counted: dict[str, int] = {}

        def look() -> bool:
            for one in self.senders:
                with one.http() as http:
                    days = http.get("/v1/billing/usage").raise_for_status().json()["days"]
                counted[one.address] = sum(day["units"].get("mails_delivered", 0) for day in days)
            # Not more often than the gateway answers one client.
            time.sleep(0.5)
            return all(counted[address] >= count for address, count in wanted.items())

        with suppress(AssertionError):
            # Where some are missing, the test says so.
            wait_for("all deliveries to be counted", look, 60.0)
        return counted

    def unsigned(self, arrivals: Sequence[Arrival]) -> list[str]:
        """Return which of these mails have not two signatures that hold, by the records that operators are told."""
        told = dns_records(self.platform, self.senders[RELAYS])
        records = {one["name"].rstrip("."): one["value"].encode() for one in told if one["purpose"] == "dkim"}
        return [fault for one in arrivals if (fault := _signature_fault(one.mail.content, records))]


def _signature_fault(content: bytes, records: Mapping[str, bytes]) -> str:
    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), b"")

    signed = dkim.DKIM(content)
    count = content.partition(b"\r\n\r\n")[0].lower().count(b"dkim-signature:")
    if count != 2:
        return f"{count} signatures"
    try:
        held = [signed.verify(idx=place, dnsfunc=look_up) for place in range(count)]
    except dkim.DKIMException as error:
        return type(error).__name__
    return "" if all(held) else f"signatures hold: {held}"


@contextmanager
def outward(folder: Path, *sabotage: str, lease: int = 12) -> Iterator[Outward]:
    """Start everything but the load; "service:kind" spoils something (ledger_saboteur).

    `lease`: seconds that a mail waits for when the process that held it was killed.
    """
    tuning = {"delivery": {**_QUICK, "LEASE_SECONDS": str(lease)}}
    with outward_world() as world:
        settings = world.outside.settings
        with spoiled_platform(folder / "home", "delivery:hurry", *sabotage, tuning=tuning, **settings) as platform:
            scene = Outward(world, platform, folder, OutwardRun.fresh())
            try:
                scene.sign_up()
                yield scene
            finally:
                for sender in scene.senders:
                    sender.client.close()
