"""The one way for letters: consent is asked each time, and each notice arrives once, whatever happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from libs.policy import load_policy
from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.delivery.domain.dsn import site_of
from services.delivery.domain.model import Order
from services.delivery.domain.ports import PlatformLetter
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.submission import Submitted
from services.delivery.domain.unsubscribe import UnsubscribeLinks
from services.delivery.platform.consent import ConsentLinks
from services.delivery.platform.sending import PLATFORM, PlatformMail, PlatformParts
from services.delivery.reports.unsubscribing import Unsubscribing
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import MARKS, VAULT, opened
from tests.unit.delivery.fake_ports import FakeHappenings, FakeNotices
from tests.unit.delivery.keeping import TERMS, swept

ACCOUNT = "a" * 32
URL = "https://mail.sealpost.test"


@dataclass
class FakeRights:
    """Of accounts: who may be reached for what."""

    addresses: Sequence[str] = ("ada@sealpost.test", "ada@home.example")
    asked: list[tuple[str, str]] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    fault: SealpostError | None = None

    async def reach(self, account_id: str, purpose: str) -> Sequence[str]:
        self.asked.append((account_id, purpose))
        if self.fault is not None:
            raise self.fault
        return self.addresses

    async def withdraw(self, account_id: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.withdrawn.append(account_id)


@dataclass
class FakeQueue:
    """A domain.submission.Queue."""

    mails: dict[str, tuple[Order, Prepared]] = field(default_factory=dict)
    fault: SealpostError | None = None

    async def put(self, order: Order, prepared: Prepared) -> None:
        if self.fault is not None:
            raise self.fault
        if order.submission_id in self.mails:
            raise ConflictError("exists")
        self.mails[order.submission_id] = (order, prepared)

    async def find(self, account_id: str, mail_id: str) -> Submitted | None:
        raise AssertionError("nobody asks")


@dataclass
class Desk:
    """A way out, and everything around it."""

    mail: PlatformMail
    rights: FakeRights
    boxes: FakeNotices
    queue: FakeQueue
    clock: ManualClock
    store: object

    async def send(self, name: str = "policy_change", purpose: str = "policy", **changes: object) -> str:
        """Send a letter; return the notice."""
        fields = {"version": "2", "effective": "2027-01-01", "subject": "News", "text": "There is news.", "due": "x"}
        letter = PlatformLetter(new_id(), ACCOUNT, purpose, name, fields)
        letter = replace(letter, **changes)  # type: ignore[arg-type]
        await self.mail.send(letter)
        return letter.notice_id


@asynccontextmanager
async def a_desk(directory: Path) -> AsyncIterator[Desk]:
    clock, rights, boxes, queue = ManualClock(), FakeRights(), FakeNotices(), FakeQueue()
    async with opened(directory, PLATFORM) as store:
        parts = PlatformParts(
            store=store,
            marks=MARKS,
            policy=load_policy(),
            terms=TERMS,
            accounts=rights,
            mailboxes=boxes,
            consents=ConsentLinks(VAULT, URL, rights),
            site=site_of("mx.sealpost.test"),
            public_url=URL,
            clock=clock,
        )
        mail = PlatformMail(parts)
        mail.queue = queue
        yield Desk(mail, rights, boxes, queue, clock, store)


async def test_a_letter_goes_to_the_mailbox_and_to_the_contact_address(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.send()
        assert desk.rights.asked == [(ACCOUNT, "policy")]
        ((account_id, content),) = desk.boxes.put_ones.values()
        assert account_id == ACCOUNT and content.startswith(b"Return-Path: <>\r\n")
        ((order, prepared),) = desk.queue.mails.values()
        assert (order.mail_from, order.recipients, order.account_id) == ("", ("ada@home.example",), ACCOUNT)
        # What DMARC asks: signed for the domain in From (RFC 7489 3.1).
        assert prepared.sender_domain == "sealpost.test" and prepared.auto_submitted
        mail = message_from_bytes(prepared.content, policy=policy.default)
        assert mail["From"] == "Mail service <postmaster@sealpost.test>" and mail["To"] == "ada@home.example"
        assert mail["Message-ID"] == prepared.message_id
        assert mail["List-Unsubscribe"] is None


async def test_the_same_notice_again_changes_nothing_for_sixty_days(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        notice = new_id()
        for _ in range(3):
            await desk.send(notice_id=notice)
        assert len(desk.boxes.put_ones) == len(desk.queue.mails) == len(desk.rights.asked) == 1
        with pytest.raises(InvalidError, match="notice_id"):
            await desk.send(notice_id=notice, account_id="b" * 32)
        desk.clock.advance(days=60)
        assert await swept(desk.store, desk.clock, PLATFORM) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", ["no_consent", "purpose"])
async def test_without_consent_nothing_goes_out(tmp_path: Path, reason: str) -> None:
    async with a_desk(tmp_path) as desk:
        desk.rights.fault = DeniedError(reason)
        with pytest.raises(DeniedError, match=reason):
            await desk.send("newsletter", "newsletter")
        assert not desk.boxes.put_ones and not desk.queue.mails


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "newsletter", "purpose": "policy"}, "purpose"),
        ({"purpose": "security"}, "purpose"),
        ({"name": "advertisement"}, "letter"),
        ({"notice_id": "no id"}, "notice_id"),
        ({"account_id": ""}, "notice_id"),
        ({"fields": {}}, "letter_fields"),
    ],
)
async def test_what_the_policy_does_not_know_goes_nowhere(
    tmp_path: Path, changes: dict[str, object], error: str
) -> None:
    async with a_desk(tmp_path) as desk:
        with pytest.raises((DeniedError, InvalidError), match=error):
            await desk.send(**changes)  # type: ignore[arg-type]
        assert not desk.rights.asked and not desk.boxes.put_ones


async def test_whoever_dies_in_between_sends_once(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        notice = new_id()
        desk.boxes.fault = UnavailableError("unreachable")
        with pytest.raises(UnavailableError):
            await desk.send(notice_id=notice)
        desk.boxes.fault, desk.queue.fault = None, UnavailableError("keys")
        desk.clock.advance(3600)
        with pytest.raises(UnavailableError):
            await desk.send(notice_id=notice)
        desk.queue.fault = None
        await desk.send(notice_id=notice)
        # Brought three times under one id.
        assert len(desk.boxes.put_ones) == len(desk.queue.mails) == 1


async def test_accounts_that_are_gone_and_contacts_that_are_none(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.rights.addresses = ("ada@sealpost.test", "no address")
        await desk.send()
        assert len(desk.boxes.put_ones) == 1 and not desk.queue.mails
        desk.rights.addresses = ("ada@sealpost.test", "ada@home.example")
        desk.queue.fault = NotFoundError("account_not_found")
        await desk.send()
        desk.rights.fault = NotFoundError("account_not_found")
        with pytest.raises(NotFoundError):
            await desk.send()


async def test_one_click_takes_the_consent_back(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.send("newsletter", "newsletter")
        ((_, prepared),) = desk.queue.mails.values()
        mail = message_from_bytes(prepared.content, policy=policy.default)
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        url = str(mail["List-Unsubscribe"]).strip("<>")
        body = mail.get_body()
        assert body is not None and url in body.get_content()
        assert ACCOUNT not in url
        links, happenings = UnsubscribeLinks(VAULT, URL), FakeHappenings()
        clicks = Unsubscribing(links, happenings, desk.clock, desk.mail.consents)
        token = url.removeprefix(f"{URL}/u/")
        for _ in range(2):
            await clicks.unsubscribe(token)
        assert desk.rights.withdrawn == [ACCOUNT] * 2 and not happenings.noted
        desk.rights.fault = UnavailableError("unreachable")
        with pytest.raises(UnavailableError):
            await clicks.unsubscribe(token)
        desk.rights.fault = NotFoundError("account_not_found")
        await clicks.unsubscribe(token)
        for wrong in ("", "x" * 150, token[:-4], "A" * 300):
            with pytest.raises(NotFoundError, match="token_unknown"):
                await clicks.unsubscribe(wrong)
