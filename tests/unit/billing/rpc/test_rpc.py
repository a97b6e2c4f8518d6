"""The servicer over real parts: what it answers, what it refuses and in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash, KeyEncryptionKeys, Secrets, Vault
from libs.local.plan import CATALOGUE
from libs.policy import Terms, load_policy
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, DeniedError, ExhaustedError, InvalidError, NotFoundError
from libs.runtime.secret import Secret
from protos.billing.v1 import billing_pb2 as pb
from protos.common.v1 import common_pb2
from services.billing.domain.catalogue import Catalogues, load_catalogues
from services.billing.domain.journal import Kind, Posting
from services.billing.domain.model import DAY, Meter
from services.billing.graph import COLLECTIONS, Base, Graph, Outside, make_graph
from services.billing.main import parts_of
from services.billing.metering.intake import Use
from services.billing.offers import Offers
from services.billing.rpc import BillingRpc
from services.billing.settings import Settings
from tests.support.clock import ManualClock

WHO = pb.AccountRequest(account_id="a" * 32, mailbox_id="b" * 32, profile=common_pb2.PROFILE_SEALED)
OFFICER, OTHER = "c" * 32, "d" * 32


class Nobody:
    """Other services: nothing is held elsewhere, nobody is told."""

    async def held(self, mailbox_ids: Sequence[str], day: int) -> Mapping[str, int]:
        return {}

    async def tell(self, account_id: str, letter: str, about: str, fields: Mapping[str, str]) -> None:
        return

    async def of(self, mailbox_id: str) -> Mapping[Meter, int]:
        return {Meter.STORAGE_BYTES: 4096}


class Desk:
    """The servicer, and the graph behind it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._rpc = BillingRpc(parts_of(graph, cast(Any, Nobody())))

    async def __call__(self, method: str, request: Any) -> Any:
        return await getattr(self._rpc, method)(request, cast(Any, None))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_with(tmp_path, load_catalogues(CATALOGUE)) as made:
        yield made


@asynccontextmanager
async def desk_with(tmp_path: Path, catalogues: Catalogues) -> AsyncIterator[Desk]:
    """A desk that offers what `catalogues` say."""
    settings = Settings(kek=Secret("0" * 64), lookup_key=Secret(b"l" * 32), catalogue=CATALOGUE)
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        clock = ManualClock()
        secrets = Secrets(KeyedHash(Secret(b"l" * 32)), Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)})))
        offers = Offers(catalogues, store, clock)
        await offers.load()
        base = Base(settings, store, clock, secrets, Terms(load_policy()), offers)
        yield Desk(make_graph(base, Outside((), Nobody())))


async def test_the_catalogue_of_a_profile(desk: Desk) -> None:
    found = await desk("GetCatalogue", pb.GetCatalogueRequest(profile=common_pb2.PROFILE_SEALED))
    assert [plan.name for plan in found.plans] == ["free", "personal", "business"]
    assert (found.currency, found.digits, found.provider, found.credit_packs[0]) == ("EUR", 2, "manual", 1000)
    with pytest.raises(InvalidError, match="profile"):
        await desk("GetCatalogue", pb.GetCatalogueRequest())


async def test_a_standing_says_what_is_used(desk: Desk) -> None:
    today = unix_seconds(desk.graph.base.clock) // DAY
    uses = [Use(f"u{n}", WHO.account_id, Meter.SENDS, today, 3) for n in range(2)]
    await desk.graph.metering.intake.take(uses)
    standing = await desk("GetStanding", WHO)
    used = {one.allowance.meter: (one.used, one.allowance.included) for one in standing.used}
    assert used["sends"] == (6, 150) and used["storage_bytes"] == (4096, 2**30) and "addresses" not in used
    assert (standing.plan, standing.state, standing.accruing, standing.due) == ("free", "free", 0, 0)
    usage = await desk("GetUsage", pb.GetUsageRequest(account=WHO, first_day=today - 1, last_day=today))
    assert [(one.day, dict(one.units)) for one in usage.days] == [(today, {"sends": 6})]
    for first, last in ((0, 1), (today, today - 1), (today - 400, today)):
        with pytest.raises(InvalidError, match="days"):
            await desk("GetUsage", pb.GetUsageRequest(account=WHO, first_day=first, last_day=last))


async def test_a_month_so_far_is_charged_from_the_end_of_the_trial(desk: Desk) -> None:
    changed = await desk("ChangePlan", pb.ChangePlanRequest(account=WHO, plan="business"))
    assert (changed.state, changed.accruing) == ("trial", 0)
    clock = cast(ManualClock, desk.graph.base.clock)
    clock.advance(changed.state_until - unix_seconds(clock) + 3 * DAY)
    assert await desk.graph.plans.advance() == 1
    assert (await desk("GetStanding", WHO)).accruing > 0
    left = await desk("CancelPlan", WHO)
    assert (left.plan, left.next_plan) == ("business", "free") and left.next_plan_at > unix_seconds(clock)


async def test_what_a_price_change_takes_away_stands_in_the_standing(tmp_path: Path) -> None:
    (first,) = load_catalogues(CATALOGUE).versions
    # Not before somebody has been told, long enough ahead.
    dearer = {**first.plans, "free": replace(first.plans["free"], allowances={})}
    coming = replace(first, version=2, from_day=first.from_day + 365, plans=dearer)
    async with desk_with(tmp_path, Catalogues((first, coming))) as desk:
        (found,) = (await desk("GetStanding", WHO)).coming
        assert found.plan == "free" and found.since % DAY == 0
        assert found.since > unix_seconds(desk.graph.base.clock) + 30 * DAY
        assert "mails sent, included: none instead of 150 a day" in found.changes
        business = await desk("ChangePlan", pb.ChangePlanRequest(account=WHO, plan="business"))
        assert list(business.coming) == []
    async with desk_with(tmp_path / "other", Catalogues((first,))) as desk:
        assert list((await desk("GetStanding", WHO)).coming) == []


async def test_who_pays_is_kept_as_it_was_told(desk: Desk) -> None:
    told = pb.Details(name=" Größe & Söhne ", address_lines=["Weg 1"], country="DE", vat_id="de 129273398")
    kept = await desk("PutDetails", pb.PutDetailsRequest(account=WHO, details=told))
    assert (kept.name, kept.vat_id) == ("Größe & Söhne", "DE129273398")
    assert await desk("GetDetails", WHO) == kept


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("name", pb.Details(name="x" * 121)),
        ("name", pb.Details(name="a\nb")),
        ("address_lines", pb.Details(address_lines=["x"] * 7)),
        ("address_lines", pb.Details(address_lines=["x" * 121])),
        ("country", pb.Details(country="de")),
        ("country", pb.Details(country="DEU")),
        ("vat_id", pb.Details(vat_id="DE-1")),
        ("card_number", pb.Details(name="4242 4242 4242 4242")),
        ("card_number", pb.Details(address_lines=["4242-4242", "4242-4242"])),
    ],
)
async def test_details_that_cannot_be(desk: Desk, reason: str, told: pb.Details) -> None:
    with pytest.raises(InvalidError, match=reason):
        await desk("PutDetails", pb.PutDetailsRequest(account=WHO, details=told))
    assert await desk("GetDetails", WHO) == pb.Details()


async def test_credits_pay_for_a_job_and_no_more(desk: Desk) -> None:
    await desk.graph.books.post(WHO.account_id, Posting(Kind.CREDITS_BOUGHT, "p", (1000, 190)))
    quoted = await desk("Quote", pb.QuoteRequest(account=WHO, meter="pieces", units=10))
    assert (quoted.net, quoted.gross, quoted.currency) == (950, 950, "EUR")
    held = await desk("Hold", pb.HoldRequest(account=WHO, reference="job1", amount=950))
    assert (held.state, held.credits) == ("held", 50)
    with pytest.raises(ExhaustedError, match="credits"):
        await desk("Hold", pb.HoldRequest(account=WHO, reference="job2", amount=51))
    done = await desk("Capture", pb.CaptureRequest(account=WHO, reference="job1", amount=900))
    assert (done.state, done.amount, done.credits) == ("captured", 900, 100)
    # Asked again it is the same, and there is nothing left to release.
    assert (await desk("Hold", pb.HoldRequest(account=WHO, reference="job1", amount=950))).state == "captured"
    with pytest.raises(ConflictError):
        await desk("Release", pb.HoldReference(account=WHO, reference="job1"))
    entries = await desk("ListEntries", pb.ListEntriesRequest(account=WHO, limit=2))
    assert [(one.kind, one.credits, one.held) for one in entries.entries] == [
        ("captured", 50, -950),
        ("held", -950, 950),
    ]
    rest = await desk("ListEntries", pb.ListEntriesRequest(account=WHO, limit=2, cursor=entries.next_cursor))
    assert [one.kind for one in rest.entries] == ["credits_bought"] and not rest.next_cursor


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("Quote", pb.QuoteRequest(account=WHO, meter="sends", units=1), "no_price"),
        ("Quote", pb.QuoteRequest(account=WHO, meter="nothing", units=1), "meter"),
        ("Quote", pb.QuoteRequest(account=WHO, meter="pieces"), "units"),
        ("Hold", pb.HoldRequest(account=WHO, reference="", amount=1), "reference"),
        ("Capture", pb.CaptureRequest(account=WHO, reference="x", amount=-1), "amount"),
        ("ListEntries", pb.ListEntriesRequest(account=WHO, cursor="x"), "cursor"),
        ("GetStanding", pb.AccountRequest(profile=common_pb2.PROFILE_SEALED), "account_id"),
        ("ListWaiting", pb.ListWaitingRequest(state="lost"), "state"),
        ("ListWaiting", pb.ListWaitingRequest(cursor="x"), "cursor"),
        ("ListOpenInvoices", pb.ListOpenInvoicesRequest(limit=201), "limit"),
        ("ListOpenInvoices", pb.ListOpenInvoicesRequest(cursor="x"), "cursor"),
        ("RecordPayment", pb.RecordPaymentRequest(officer="x", reference="x", amount=1), "officer"),
        ("RecordPayment", pb.RecordPaymentRequest(officer=OFFICER, reference="x"), "amount"),
        ("StartPayment", pb.StartPaymentRequest(account=WHO, request_id="r"), "what"),
        ("TakeWebhook", pb.TakeWebhookRequest(body=b"x" * (256 * 1024 + 1)), "webhook"),
        ("TakeWebhook", pb.TakeWebhookRequest(body=b"{}", signature="t=1"), "webhook"),
        ("ListReconciliations", pb.ListReconciliationsRequest(days=401), "days"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(desk: Desk, method: str, request_: Any, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        await desk(method, request_)


async def test_a_transfer_from_asking_to_taking_back(desk: Desk) -> None:
    asked = await desk("StartPayment", pb.StartPaymentRequest(account=WHO, request_id="r1", credits=1000))
    assert (asked.amount, asked.state, asked.purpose) == (1000 + 190, "waiting", "credits")
    assert asked.reference and "IBAN" in asked.instructions and "Example Mail Company" in asked.instructions
    assert [one.payment_id for one in (await desk("ListWaiting", pb.ListWaitingRequest())).payments] == [
        asked.payment_id
    ]
    record = pb.RecordPaymentRequest(officer=OFFICER, reference=asked.reference, amount=1190)
    assert (await desk("RecordPayment", record)).state == "paid"
    assert [one.state for one in (await desk("ListWaiting", pb.ListWaitingRequest(state="paid"))).payments] == ["paid"]
    mine = pb.PaymentRequest(account=WHO, payment_id=asked.payment_id)
    assert (await desk("GetPayment", mine)).state == "paid"
    other = pb.AccountRequest(account_id="e" * 32, profile=common_pb2.PROFILE_SEALED)
    with pytest.raises(NotFoundError, match="payment"):
        await desk("GetPayment", pb.PaymentRequest(account=other, payment_id=asked.payment_id))
    reversal = pb.ReversalRequest(officer=OFFICER, payment_id=asked.payment_id)
    assert (await desk("AskReversal", reversal)).state == "reversal_asked"
    with pytest.raises(DeniedError, match="same_officer"):
        await desk("ConfirmReversal", reversal)
    confirmed = await desk("ConfirmReversal", pb.ReversalRequest(officer=OTHER, payment_id=asked.payment_id))
    assert confirmed.state == "reversed"
    assert (await desk("GetStanding", WHO)).credits == 0
    with pytest.raises(ConflictError, match="no_portal"):
        await desk("OpenPortal", WHO)


async def test_an_invoice_is_taken_back_in_part_and_whole(desk: Desk) -> None:
    await desk("ChangePlan", pb.ChangePlanRequest(account=WHO, plan="business"))
    clock = cast(ManualClock, desk.graph.base.clock)
    clock.advance(days=20)
    await desk.graph.plans.advance()
    clock.advance(days=40)
    run = desk.graph.money.run
    await run.turn()
    ((number, gross),) = [
        (one.number, one.gross) for one in (await desk("ListInvoices", pb.ListInvoicesRequest(account=WHO))).invoices
    ]
    part = pb.CreditInvoiceRequest(officer=OFFICER, number=number, amount=100, request_id="a" * 32)
    for _ in range(2):
        assert (await desk("CreditInvoice", part)).state == "open"
        await run.turn()
    (found,) = (await desk("ListOpenInvoices", pb.ListOpenInvoicesRequest())).invoices
    assert found.open == gross - 100 == (await desk("GetStanding", WHO)).due
    for wrong, kind, reason in (
        ({"amount": gross, "request_id": "b" * 32}, ConflictError, "nothing_left"),
        ({"amount": 99}, ConflictError, "request_id"),
        ({"amount": -1}, InvalidError, "amount"),
        ({"request_id": "x"}, InvalidError, "request_id"),
        ({"officer": "x"}, InvalidError, "officer"),
        ({"number": "2026-009999"}, NotFoundError, "invoice"),
    ):
        asked = pb.CreditInvoiceRequest()
        asked.CopyFrom(part)
        for name, value in wrong.items():
            setattr(asked, name, value)
        with pytest.raises(kind, match=f"^{reason}$"):
            await desk("CreditInvoice", asked)
    rest = pb.CreditInvoiceRequest(officer=OFFICER, number=number, request_id="b" * 32)
    assert (await desk("CreditInvoice", rest)).state == "credited"
    await run.turn()
    documents = (await desk("ListInvoices", pb.ListInvoicesRequest(account=WHO))).invoices
    assert [(one.kind, one.gross) for one in documents[:2]] == [("credit_note", gross - 100), ("credit_note", 100)]
    assert (await desk("GetStanding", WHO)).due == 0


async def test_open_invoices_are_shown_to_operators_without_names(desk: Desk) -> None:
    await desk("ChangePlan", pb.ChangePlanRequest(account=WHO, plan="business"))
    clock = cast(ManualClock, desk.graph.base.clock)
    clock.advance(days=20)
    await desk.graph.plans.advance()
    clock.advance(days=40)
    await desk.graph.money.run.turn()
    (found,) = (await desk("ListOpenInvoices", pb.ListOpenInvoicesRequest())).invoices
    assert found.open == found.invoice.gross > 0
    mine = await desk("ListInvoices", pb.ListInvoicesRequest(account=WHO))
    assert [one.number for one in mine.invoices] == [found.invoice.number]
    file = await desk("GetInvoice", pb.GetInvoiceRequest(account=WHO, number=found.invoice.number, form="pdf"))
    assert file.content.startswith(b"%PDF-")
    with pytest.raises(InvalidError, match="form"):
        await desk("GetInvoice", pb.GetInvoiceRequest(account=WHO, number=found.invoice.number, form="doc"))
