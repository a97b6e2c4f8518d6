"""The inbound path without a wire: who gets what sealed under which key, and that all is stored or nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.mailbox.copies import INLINE_BYTES, LARGE_BYTES, owner
from libs.mailbox.model import PublicDay, Recipient, Route, Standing
from libs.runtime.errors import ExhaustedError, InvalidError, UnavailableError
from services.ingest.domain import Client, Mail, NoAuthentication
from services.ingest.receive import Inbound
from tests.support.clock import ManualClock
from tests.support.ingest import HOSTNAME, MAIL, until
from tests.support.ingest_fakes import FakeAccounts, FakeCrypto, FakeStorage

CHECKS = NoAuthentication()


class Desk:
    """An inbound path with fakes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.accounts, self.crypto, self.storage = FakeAccounts(), FakeCrypto(), FakeStorage()
        self.inbound = Inbound(HOSTNAME, self.crypto, self.storage, self.clock)

    async def mail(self, *addresses: str, content: bytes = MAIL) -> Mail:
        recipients = [Recipient(address, await self.accounts.resolve(address)) for address in addresses]
        return Mail(Client("192.0.2.7", "x.example", True), "ada@example.org", recipients, bytearray(content))

    async def receive(self, *addresses: str, content: bytes = MAIL) -> str:
        return await self.inbound.receive(await self.mail(*addresses, content=content), CHECKS)


async def test_a_members_copy() -> None:
    desk = Desk()
    delivery_id = await desk.receive("bob@sealpost.test")
    (delivery,) = desk.storage.deliveries
    (copy,) = delivery.copies
    assert delivery.delivery_id == delivery_id
    assert (copy.route.mailbox_id, copy.expires_at, copy.staged) == ("mailbox-bob", 0, False)
    assert copy.received_minute == int(desk.clock.now().timestamp()) // 60
    assert copy.size == len(desk.storage.body())
    assert desk.crypto.tasks[0].owner == "account-bob"
    assert desk.crypto.tasks[0].message_id == copy.message_id


async def test_a_public_copy() -> None:
    desk = Desk()
    desk.clock.advance(seconds=59)
    await desk.receive("any@public.sealpost.test")
    (copy,) = desk.storage.copies
    due = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(days=5)
    assert desk.crypto.tasks[0].owner == PublicDay("public.sealpost.test", "2026-11-22", int(due.timestamp()))
    assert copy.route.keep_newest == 6
    # Whole minutes: the second of receipt is nobody's business.
    assert copy.expires_at == int(datetime(2026, 11, 26, 17, 0, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("second", [0, 1, 43_200, 86_399])
def test_the_key_of_a_day_outlives_every_mail_of_the_day(second: int) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=second)
    route = Route(Standing.OK, "m", "", "public.sealpost.test", retention_seconds=3600)
    key = owner(route, now)
    assert isinstance(key, PublicDay)
    assert key.destroy_after >= now.timestamp() + 3600 + 86400
    assert key == owner(route, datetime(2026, 11, 22, 12, 0, tzinfo=UTC)), "one key for all of a day"


def test_public_mail_that_is_kept_for_good_has_a_key_that_is() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    key = owner(Route(Standing.OK, "m", "", "public.sealpost.test"), now)
    assert isinstance(key, PublicDay)
    assert key.destroy_after > (now + timedelta(days=3650)).timestamp()


async def test_one_failing_copy_stores_none() -> None:
    desk = Desk()
    desk.crypto.failures["account-carol"] = InvalidError("certificate")
    with pytest.raises(InvalidError):
        await desk.receive("bob@sealpost.test", "carol@sealpost.test", "dave@sealpost.test")
    assert desk.storage.deliveries == []


async def test_a_full_mailbox_refuses_the_whole_mail() -> None:
    desk = Desk()
    desk.storage.failure = ExhaustedError("quota_messages")
    with pytest.raises(ExhaustedError):
        await desk.receive("bob@sealpost.test", "carol@sealpost.test")


@pytest.mark.parametrize(
    ("size", "staged"), [(INLINE_BYTES - 4096, False), (INLINE_BYTES + 1, True), (LARGE_BYTES + 1, True)]
)
async def test_large_bodies_are_staged(size: int, staged: bool) -> None:
    desk = Desk()
    content = b"Subject: large\r\n\r\n" + b"x" * size
    await desk.receive("bob@sealpost.test", content=content)
    (copy,) = desk.storage.copies
    assert copy.staged is staged
    assert bool(copy.sealed.body) is not staged
    assert desk.storage.content() == content


async def test_many_copies_of_a_middling_mail_are_large_together() -> None:
    desk = Desk()
    names = [f"user{number}@public.sealpost.test" for number in range(6)]
    await desk.receive(*names, content=b"\r\n" + b"x" * (LARGE_BYTES // 5))
    assert all(copy.staged for copy in desk.storage.copies)
    assert desk.crypto.most_at_once == 1


async def test_large_mails_are_sealed_one_after_the_other_and_small_ones_meanwhile() -> None:
    desk = Desk()
    desk.crypto.hold = asyncio.Event()
    large = b"\r\n" + b"x" * (LARGE_BYTES + 1)
    mails = [asyncio.create_task(desk.receive("bob@sealpost.test", content=large)) for _ in range(3)]
    await until(lambda: desk.crypto.at_once == 1)
    small = asyncio.create_task(desk.receive("carol@sealpost.test"))
    await asyncio.sleep(0.1)
    assert desk.crypto.at_once == 2
    desk.crypto.hold.set()
    await asyncio.gather(*mails, small)
    assert len(desk.storage.deliveries) == 4
    assert desk.crypto.most_at_once == 2


async def test_the_content_is_let_go_of() -> None:
    desk = Desk()
    desk.crypto.hold = asyncio.Event()
    mail = await desk.mail("bob@sealpost.test", content=b"\r\n" + b"x" * LARGE_BYTES)
    task = asyncio.create_task(desk.inbound.receive(mail, CHECKS))
    await until(lambda: desk.crypto.at_once == 1)
    assert len(mail.content) == 0
    desk.crypto.hold.set()
    await task


async def test_a_failure_lets_the_next_large_mail_in() -> None:
    desk = Desk()
    large = b"\r\n" + b"x" * (LARGE_BYTES + 1)
    desk.crypto.failures["account-bob"] = UnavailableError("unreachable")
    with pytest.raises(UnavailableError):
        await desk.receive("bob@sealpost.test", content=large)
    await desk.receive("carol@sealpost.test", content=large)


async def test_storage_that_never_answers_is_a_failure_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.receive._SECONDS", 0.1)
    desk = Desk()
    desk.storage.hold = asyncio.Event()
    with pytest.raises(UnavailableError):
        await desk.receive("bob@sealpost.test")
