"""Fakes at the Protocols of ingest: whoever it calls, in memory, with failures to order."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.model import Copy, Delivery, Route, Sealed, SealTask, Standing
from libs.runtime.errors import InternalError, SealpostError, UnauthenticatedError
from services.ingest.domain import Authentication, Client, Proof, Submission, Submitter

ADA = Submitter("account-ada", 2, False)
SHOP = Submitter("account-shop", 5, True)
ADA_PASSWORD = "4bcd-efgh-jkmn-pqrs"
SHOP_PASSWORD = "9wxy-zabc-defg-hjkm"
RETURN_PATH = "b-k5xw4zzanfzsa@bounces.sealpost.test"


class FakeAccounts:
    """Knows bob, carol and dave at sealpost.test, everybody at public.sealpost.test; sam is suspended."""

    def __init__(self) -> None:
        self.failure: SealpostError | None = None
        self.asked: list[str] = []
        self.routes: dict[str, Route] = {
            f"{name}@sealpost.test": Route(
                Standing.OK, f"mailbox-{name}", f"account-{name}", "sealpost.test", quota_bytes=1_000_000_000
            )
            for name in ("bob", "carol", "dave")
        }
        self.routes["sam@sealpost.test"] = Route(Standing.SUSPENDED, domain="sealpost.test")

    async def resolve(self, address: str) -> Route:
        self.asked.append(address)
        if self.failure is not None:
            raise self.failure
        lowered = address.lower()
        if lowered == "postmaster":
            return self.routes["bob@sealpost.test"]
        if lowered.endswith("@public.sealpost.test"):
            mailbox = f"public-{lowered.partition('@')[0]}"
            return Route(Standing.OK, mailbox, "", "public.sealpost.test", keep_newest=6, retention_seconds=4 * 86400)
        if lowered.endswith("@sealpost.test"):
            return self.routes.get(lowered, Route(Standing.UNKNOWN, domain="sealpost.test"))
        return Route(Standing.NOT_OURS)


class FakeCrypto:
    """Seals by putting a word in front, so that tests can read on."""

    def __init__(self) -> None:
        self.tasks: list[SealTask] = []
        self.failures: dict[Any, Exception] = {}
        self.hold: asyncio.Event | None = None
        self.at_once = 0
        self.most_at_once = 0

    async def seal(self, task: SealTask) -> Sealed:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self.hold is not None:
                await self.hold.wait()
            if task.owner in self.failures:
                raise self.failures[task.owner]
            self.tasks.append(task)
            return Sealed(b"sealed:" + task.envelope, b"sealed:" + task.body, "openpgp", "key")
        finally:
            self.at_once -= 1


class FakeStorage:
    """Keeps deliveries in a list, all or none."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.staged: dict[str, bytes] = {}
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def stage(self, mailbox_id: str, message_id: str, body: bytes) -> None:
        self.staged[message_id] = body

    async def append(self, delivery: Delivery) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.deliveries.append(delivery)

    @property
    def copies(self) -> list[Copy]:
        return [copy for delivery in self.deliveries for copy in delivery.copies]

    def body(self, number: int = 0) -> bytes:
        """Return what a recipient would read: the mail without its seal."""
        copy = self.copies[number]
        sealed = self.staged[copy.message_id] if copy.staged else copy.sealed.body
        return sealed.removeprefix(b"sealed:")

    def content(self, number: int = 0) -> bytes:
        """Return the mail without its three trace fields."""
        return without_trace(self.body(number))


class FixedAuthentication:
    """An Authenticator that finds what it was told, and remembers whom it was asked for."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.begun: list[tuple[str, str]] = []
        self.cancelled = 0

    def begin(self, client: Client, sender: str) -> Authentication:
        self.begun.append((client.address, sender))
        return self

    async def finish(self, letter: Letter) -> Verdict:
        return self.verdict

    def cancel(self) -> None:
        self.cancelled += 1


class FakeProofs:
    """Knows ada, a member, and shop, a relay account, by their app passwords."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked: list[str] = []
        self.known = {
            ("ada@sealpost.test", ADA_PASSWORD): ADA,
            ("shop@relay.sealpost.test", SHOP_PASSWORD): SHOP,
        }

    async def sign_in(self, proof: Proof) -> Submitter:
        self.asked.append(proof.address)
        if self.failure is not None:
            raise self.failure
        submitter = self.known.get((proof.address, proof.password.reveal()))
        if submitter is None:
            raise UnauthenticatedError("credential_invalid")
        return submitter


class FakeDelivery:
    """Outbox and ReturnPaths. ada has two addresses, shop one; one return path is known."""

    def __init__(self) -> None:
        self.senders = {
            ADA.account_id: {"ada@sealpost.test", "lovelace@sealpost.test"},
            SHOP.account_id: {"news@shop.example"},
        }
        self.ask_failure: SealpostError | None = None
        self.failure: SealpostError | None = None
        self.hold: asyncio.Event | None = None
        self.submissions: list[Submission] = []
        self.reports: list[tuple[str, bytes]] = []

    async def may_send(self, account_id: str, sender: str) -> bool:
        if self.ask_failure is not None:
            raise self.ask_failure
        return sender in self.senders.get(account_id, set())

    async def submit(self, submission: Submission) -> str:
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.submissions.append(submission)
        return submission.submission_id

    async def known(self, address: str) -> bool:
        if self.ask_failure is not None:
            raise self.ask_failure
        return address.lower() == RETURN_PATH

    async def take(self, address: str, content: bytearray) -> None:
        if self.failure is not None:
            raise self.failure
        if not await self.known(address):
            raise InternalError("return_path")
        self.reports.append((address, bytes(content)))


def without_trace(body: bytes) -> bytes:
    """Return a mail without the three fields in front, having checked that they are there."""
    lines = body.split(b"\r\n")
    taken = 0
    for name in (b"Return-Path:", b"Received:", b"Authentication-Results:"):
        assert lines[taken].startswith(name), lines[: taken + 1]
        taken += 1
        while taken < len(lines) and lines[taken][:1] in (b" ", b"\t"):
            taken += 1
    return b"\r\n".join(lines[taken:])
