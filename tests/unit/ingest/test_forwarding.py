"""Copies for other addresses: queued before the mail is stored, taken back if it is not, and never in circles."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from libs.mail.verdict import Verdict
from libs.mailbox.model import Recipient
from libs.runtime.errors import ExhaustedError, SealpostError, UnavailableError
from services.ingest.domain import Client, Mail
from services.ingest.forwarding import ForwardCopy, Forwarding
from services.ingest.receive import Inbound
from tests.support.clock import ManualClock
from tests.support.ingest import HOSTNAME, MAIL, until
from tests.support.ingest_fakes import FakeAccounts, FakeCrypto, FakeStorage, FixedAuthentication

VERDICT = Verdict("pass", "pass", "pass", "spf=pass; dkim=pass; dmarc=pass", "pass")


class FakeForwards:
    """forwarding.Forwards."""

    def __init__(self, storage: FakeStorage) -> None:
        self.storage = storage
        self.queued: list[ForwardCopy] = []
        self.withdrawn: list[bytes] = []
        self.stored_before = 0
        self.failure: SealpostError | None = None
        self.limited = False

    async def forward(self, copy: ForwardCopy) -> bool:
        self.stored_before = len(self.storage.deliveries)
        if self.failure is not None:
            raise self.failure
        self.queued.append(copy)
        return not self.limited

    async def withdraw(self, copy: ForwardCopy) -> None:
        self.withdrawn.append(copy.digest)
        if self.failure is not None:
            raise self.failure


class World:
    """An inbound path; bob forwards to two addresses, carol and dave do not."""

    def __init__(self) -> None:
        self.accounts, self.crypto, self.storage = FakeAccounts(), FakeCrypto(), FakeStorage()
        self.forwards = FakeForwards(self.storage)
        self.inbound = Inbound(HOSTNAME, self.crypto, self.storage, ManualClock())
        self.inbound.forwarding = Forwarding(self.forwards, HOSTNAME)
        bob = "bob@sealpost.test"
        there = ("a@x.example", "b@y.example")
        self.accounts.routes[bob] = replace(self.accounts.routes[bob], forward_to=there, terms=3)

    async def receive(self, *names: str, content: bytes = MAIL, sender: str = "ada@example.org") -> None:
        addresses = [f"{name}@sealpost.test" for name in names]
        recipients = [Recipient(one, await self.accounts.resolve(one)) for one in addresses]
        mail = Mail(Client("192.0.2.7", "x.example", True), sender, recipients, bytearray(content))
        await self.inbound.receive(mail, FixedAuthentication(VERDICT).begin(mail.client, sender))


async def test_a_copy_is_the_mail_as_it_came_behind_our_fields() -> None:
    world = World()
    await world.receive("bob")
    (copy,) = world.forwards.queued
    assert (copy.account_id, copy.domain, copy.sender) == ("account-bob", "sealpost.test", "ada@example.org")
    assert copy.recipients == ("a@x.example", "b@y.example")
    assert (copy.verdict, copy.terms) == (VERDICT, 3)
    assert copy.digest == hashlib.sha256(b"ada@example.org\0" + MAIL).digest()
    assert copy.content.endswith(b"\r\n" + MAIL)
    names = [line.partition(b":")[0] for line in copy.content[: -len(MAIL)].split(b"\r\n") if line[:1].strip()]
    assert names == [b"X-Loop", b"Received", b"Authentication-Results"]
    assert world.forwards.stored_before == 0
    assert len(world.storage.copies) == 1
    assert world.forwards.withdrawn == []


async def test_who_does_not_forward_costs_nothing() -> None:
    world = World()
    await world.receive("carol", "dave")
    assert world.forwards.queued == []


async def test_each_account_has_its_own_and_tags_make_no_second() -> None:
    world = World()
    world.accounts.routes["bob+x@sealpost.test"] = world.accounts.routes["bob@sealpost.test"]
    await world.receive("bob", "bob+x", "carol")
    assert len(world.forwards.queued) == 1
    assert len(world.storage.copies) == 2


async def test_nothing_is_stored_if_it_cannot_be_queued() -> None:
    world = World()
    world.forwards.failure = UnavailableError("unreachable")
    with pytest.raises(UnavailableError):
        await world.receive("bob")
    assert world.storage.deliveries == []
    # It may be queued all the same: only the answer was lost.
    assert len(world.forwards.withdrawn) == 1


@pytest.mark.parametrize("failure", [ExhaustedError("quota_bytes"), UnavailableError("deadline")])
async def test_it_is_taken_back_if_the_mail_is_not_stored(failure: SealpostError) -> None:
    world = World()
    world.storage.failure = failure
    with pytest.raises(type(failure)):
        await world.receive("bob")
    assert world.forwards.withdrawn == [world.forwards.queued[0].digest]


async def test_the_failure_that_is_told_is_that_of_storing() -> None:
    world = World()
    world.storage.failure = ExhaustedError("quota_bytes")
    world.crypto.hold = asyncio.Event()
    task = asyncio.ensure_future(world.receive("bob"))
    await until(lambda: bool(world.forwards.queued))
    world.forwards.failure = UnavailableError("unreachable")
    world.crypto.hold.set()
    with pytest.raises(ExhaustedError):
        await task


async def test_a_mail_that_is_cut_off_is_taken_back() -> None:
    world = World()
    world.storage.hold = asyncio.Event()
    task = asyncio.ensure_future(world.receive("bob"))
    await until(lambda: bool(world.crypto.tasks))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.forwards.withdrawn) == 1


async def test_the_days_copies_are_used_up_and_the_mail_is_stored() -> None:
    world = World()
    world.forwards.limited = True
    await world.receive("bob")
    assert len(world.storage.copies) == 1


@pytest.mark.parametrize(
    "fields",
    [
        b"X-Loop: " + HOSTNAME.encode() + b"\r\n",
        b"x-loop: a\r\nX-LOOP:\r\n " + HOSTNAME.upper().encode() + b"\r\n",
        b"Received: from a by b; date\r\n" * 50,
        b"X: y\r\n" * 1001,
    ],
)
async def test_what_was_forwarded_here_or_goes_in_circles_is_stored_alone(fields: bytes) -> None:
    world = World()
    await world.receive("bob", content=fields + MAIL)
    assert world.forwards.queued == []
    assert len(world.storage.copies) == 1


async def test_a_copy_of_ours_that_comes_back_is_not_sent_again() -> None:
    world = World()
    await world.receive("bob")
    await world.receive("bob", content=world.forwards.queued[0].content)
    assert len(world.forwards.queued) == 1


async def test_somebody_elses_loop_mark_does_not_count() -> None:
    world = World()
    await world.receive("bob", content=b"X-Loop: someone@lists.example\r\n" + MAIL)
    assert len(world.forwards.queued) == 1


async def test_the_same_bytes_of_another_sender_are_another_mail() -> None:
    world = World()
    for sender in ("", "ada@example.org", ""):
        await world.receive("bob", sender=sender)
    digests = [one.digest for one in world.forwards.queued]
    assert digests[0] == digests[2] != digests[1]
