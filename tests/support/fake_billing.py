"""The service billing in memory, in the place of a stub or of a servicer: one catalogue, and accounts that pay.

Good enough for pages: plans change, credits are bought by transfer and come when it is recorded, reversals need two
officers, invoices can be paid. It counts nothing by itself; `stands` of an account is there to be changed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from protos.billing.v1 import billing_pb2 as pb
from tests.support.fake_billing_offers import PLANS, plan_of

DAY = 86400
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
SIGNED = "t=1,v1=good"


@dataclass(eq=False)
class Account:
    """What one account has, and its payments by id."""

    standing: pb.Standing
    details: pb.Details = field(default_factory=pb.Details)
    invoices: list[pb.Invoice] = field(default_factory=list)
    entries: list[pb.Entry] = field(default_factory=list)


@dataclass(eq=False)
class FakeBilling:
    """`provider` is "manual" or "stripe"; `errors` by name of the RPC are raised; `asked` is every call."""

    now: Callable[[], int] = lambda: 1_795_366_800
    provider: str = "manual"
    accounts: dict[str, Account] = field(default_factory=dict)
    payments: dict[str, tuple[str, pb.Payment]] = field(default_factory=dict)
    reversals: dict[str, str] = field(default_factory=dict)
    reconciliations: list[pb.Reconciliation] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        """Return the RPC of this name."""
        answer = getattr(type(self), f"_on_{name}", None) if name[0].isupper() else None
        if answer is None:
            raise AttributeError(name)

        async def call(request: Any, context: Any = None, timeout: float = 0.0) -> Any:
            self.asked.append((name, request))
            if name in self.errors:
                raise self.errors[name]
            return answer(self, request)

        return call

    def account(self, account_id: str) -> Account:
        """Return what an account has; it begins with the free plan."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(pb.Standing(plan="free", state="free"))
        return self.accounts[account_id]

    def issue(self, account_id: str, gross: int, *, overdue_days: int = 0, state: str = "open") -> pb.Invoice:
        """Issue an invoice of `gross` whose last day was `overdue_days` ago, or is two weeks away."""
        account, today = self.account(account_id), self.now() // DAY
        number = f"2026-{1 + sum(len(one.invoices) for one in self.accounts.values()):06d}"
        net, due = round(gross / 1.19), today - overdue_days if overdue_days else today + 14
        made = pb.Invoice(
            number=number, kind="invoice", issued_day=due - 14, due_day=due, net=net, tax=gross - net, gross=gross,
            currency="EUR", state=state,
        )  # fmt: skip
        account.invoices.insert(0, made)
        if state == "open":
            account.standing.due += gross
            account.standing.due_at = due * DAY
            self._book(account, "invoiced", f"invoice/{number}", due=gross)
        return made

    def _on_GetCatalogue(self, request: pb.GetCatalogueRequest) -> pb.Catalogue:
        packs = [1000, 2500, 5000, 10000]
        return pb.Catalogue(
            version=1, currency="EUR", digits=2, plans=PLANS, provider=self.provider, credit_packs=packs
        )

    def _on_GetStanding(self, request: pb.AccountRequest) -> pb.Standing:
        standing = self.account(request.account_id).standing
        del standing.used[:]
        for number, allowance in enumerate(plan_of(standing.plan).allowances):
            share = (0.42, 0.97, 0.12, 0.05)[number % 4]
            standing.used.add(allowance=allowance, used=max(1, int(abs(allowance.included) * share)))
        return standing

    def _on_ChangePlan(self, request: pb.ChangePlanRequest) -> pb.Standing:
        standing = self.account(request.account.account_id).standing
        if request.plan not in [plan.name for plan in PLANS]:
            raise InvalidError("plan")
        if standing.state == "read_only" and request.plan not in ("free", standing.plan):
            raise ConflictError("read_only")
        if plan_of(request.plan).price > plan_of(standing.plan).price:
            standing.plan, standing.state = request.plan, "trial"
            standing.state_until = self.now() + 14 * DAY
        elif standing.state == "trial" and request.plan == "free":
            standing.plan, standing.state, standing.state_until = "free", "free", 0
        elif request.plan != standing.plan:
            standing.next_plan, standing.next_plan_at = request.plan, (self.now() // DAY + 8) * DAY
            return self._on_GetStanding(request.account)
        standing.next_plan, standing.next_plan_at = "", 0
        return self._on_GetStanding(request.account)

    def _on_CancelPlan(self, request: pb.AccountRequest) -> pb.Standing:
        return self._on_ChangePlan(pb.ChangePlanRequest(account=request, plan="free"))

    def _on_GetUsage(self, request: pb.GetUsageRequest) -> pb.Usage:
        answer = pb.Usage()
        for day in range(request.first_day, request.last_day + 1):
            draw, wave = random.Random(f"usage{day}"), 1.3 + math.sin(day / 2.2)
            units = {"sends": int(18 * wave + draw.random() * 9), "api_operations": int(700 * wave * draw.random())}
            units |= {"mails_stored": int(40 * wave + draw.random() * 30)}
            # A day on which nothing was used has no entry.
            if draw.random() > 0.08:
                answer.days.add(day=day, units=units)
        return answer

    def _on_GetDetails(self, request: pb.AccountRequest) -> pb.Details:
        return self.account(request.account_id).details

    def _on_PutDetails(self, request: pb.PutDetailsRequest) -> pb.Details:
        if any(
            len(line.replace(" ", "")) >= 15 and line.replace(" ", "").isdigit() for line in (request.details.name,)
        ):
            raise InvalidError("card_number")
        self.account(request.account.account_id).details = request.details
        return request.details

    def _on_ListInvoices(self, request: pb.ListInvoicesRequest) -> pb.ListInvoicesResponse:
        found, then = _page(self.account(request.account.account_id).invoices, request.limit or 24, request.cursor)
        return pb.ListInvoicesResponse(invoices=found, next_cursor=then)

    def _on_GetInvoice(self, request: pb.GetInvoiceRequest) -> pb.InvoiceFile:
        if request.number not in [one.number for one in self.account(request.account.account_id).invoices]:
            raise NotFoundError("invoice")
        content = PDF if request.form == "pdf" else b'{"number":"%s"}' % request.number.encode()
        return pb.InvoiceFile(
            name=f"invoice-{request.number}.{request.form}", media_type=f"application/{request.form}", content=content
        )

    def _on_ListEntries(self, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse:
        found, then = _page(self.account(request.account.account_id).entries, request.limit or 50, request.cursor)
        return pb.ListEntriesResponse(entries=found, next_cursor=then)

    def _on_StartPayment(self, request: pb.StartPaymentRequest) -> pb.Payment:
        for _, known in self.payments.values():
            if known.payment_id == request.request_id:
                return known
        what = request.WhichOneof("what")
        amount = round(request.credits * 1.19)
        if what == "plan":
            if self.provider == "manual":
                raise ConflictError("not_needed")
            amount = plan_of(request.plan).price
        elif what == "invoice":
            amount = self._open(request.account.account_id, request.invoice).gross
        payment = pb.Payment(
            payment_id=request.request_id, state="waiting", amount=amount, currency="EUR", created=self.now(),
            purpose=str(what),
            what=request.invoice or request.plan,
        )  # fmt: skip
        if self.provider == "stripe":
            payment.url = "https://checkout.stripe.com/c/pay/cs_test_1"
        else:
            payment.reference = f"SP-{len(self.payments) + 1:04d}-7K3Q"
            payment.instructions = "Example Mail Company\nExample Bank\nIBAN DE00 0000 0000 0000 0000 00"
        self.payments[payment.payment_id] = request.account.account_id, payment
        return payment

    def _on_GetPayment(self, request: pb.PaymentRequest) -> pb.Payment:
        owner, payment = self._payment(request.payment_id)
        if owner != request.account.account_id:
            raise NotFoundError("payment")
        return payment

    def _on_OpenPortal(self, request: pb.AccountRequest) -> pb.Portal:
        if self.provider == "manual":
            raise ConflictError("no_portal")
        return pb.Portal(url="https://billing.stripe.com/p/session/test")

    def _on_TakeWebhook(self, request: pb.TakeWebhookRequest) -> pb.TakeWebhookResponse:
        if request.signature != SIGNED:
            raise DeniedError("signature")
        return pb.TakeWebhookResponse()

    def _on_ListWaiting(self, request: pb.ListWaitingRequest) -> pb.ListWaitingResponse:
        known = [
            one for _, one in self.payments.values() if one.state == (request.state or "waiting") and one.reference
        ]
        found, then = _page(known[::-1] if request.state == "paid" else known, request.limit or 50, request.cursor)
        return pb.ListWaitingResponse(payments=found, next_cursor=then)

    def _on_RecordPayment(self, request: pb.RecordPaymentRequest) -> pb.Payment:
        wanted = request.reference.strip().upper()
        for owner, payment in self.payments.values():
            if payment.reference == wanted:
                if payment.amount != request.amount:
                    raise ConflictError("amount")
                self._settle(owner, payment, 1)
                payment.state = "paid"
                return payment
        raise NotFoundError("payment")

    def _on_AskReversal(self, request: pb.ReversalRequest) -> pb.Payment:
        _, payment = self._payment(request.payment_id)
        if payment.state != "paid":
            raise ConflictError("state")
        payment.state, self.reversals[payment.payment_id] = "reversal_asked", request.officer
        return payment

    def _on_ConfirmReversal(self, request: pb.ReversalRequest) -> pb.Payment:
        owner, payment = self._payment(request.payment_id)
        if payment.state != "reversal_asked":
            raise ConflictError("state")
        if self.reversals[payment.payment_id] == request.officer:
            raise DeniedError("same_officer")
        self._settle(owner, payment, -1)
        payment.state = "reversed"
        return payment

    def _on_ListOpenInvoices(self, request: pb.ListOpenInvoicesRequest) -> pb.ListOpenInvoicesResponse:
        known = [one for account in self.accounts.values() for one in account.invoices if one.state == "open"]
        known.sort(key=lambda one: one.due_day)
        found, then = _page(known, request.limit or 50, request.cursor)
        shown = [pb.OpenInvoice(invoice=one, open=one.gross) for one in found]
        return pb.ListOpenInvoicesResponse(invoices=shown, next_cursor=then)

    def _on_CreditInvoice(self, request: pb.CreditInvoiceRequest) -> pb.Invoice:
        for account in self.accounts.values():
            for invoice in account.invoices:
                if invoice.number == request.number and invoice.kind == "invoice":
                    return self._credit(account, invoice, request.amount or invoice.gross)
        raise NotFoundError("invoice")

    def _credit(self, account: Account, invoice: pb.Invoice, gross: int) -> pb.Invoice:
        if gross > invoice.gross or invoice.state == "credited":
            raise ConflictError("nothing_left")
        net = round(gross / 1.19)
        number = f"2026-{1 + sum(len(one.invoices) for one in self.accounts.values()):06d}"
        account.invoices.insert(
            0,
            pb.Invoice(
                number=number, kind="credit_note", issued_day=self.now() // DAY, net=net, tax=gross - net, gross=gross,
                currency="EUR", state="open", of=invoice.number,
            ),
        )  # fmt: skip
        invoice.state = "credited" if gross == invoice.gross else invoice.state
        account.standing.due = max(0, account.standing.due - gross)
        self._book(account, "credit_note", f"credit_note/{number}", due=-gross)
        return invoice

    def _on_ListReconciliations(self, request: pb.ListReconciliationsRequest) -> pb.ListReconciliationsResponse:
        first = self.now() // DAY - request.days
        found = [one for one in self.reconciliations if one.day >= first]
        return pb.ListReconciliationsResponse(reconciliations=found)

    def _payment(self, payment_id: str) -> tuple[str, pb.Payment]:
        if payment_id not in self.payments:
            raise NotFoundError("payment")
        return self.payments[payment_id]

    def _open(self, account_id: str, number: str) -> pb.Invoice:
        for invoice in self.account(account_id).invoices:
            if invoice.number == number:
                return invoice
        raise NotFoundError("invoice")

    def _settle(self, owner: str, payment: pb.Payment, sign: int) -> None:
        account = self.account(owner)
        net = round(payment.amount / 1.19) * sign
        reference = f"payment/{payment.payment_id}"
        if payment.purpose == "invoice":
            self._open(owner, payment.what).state = "paid" if sign > 0 else "open"
            account.standing.due -= sign * payment.amount
            self._book(account, "paid" if sign > 0 else "reversed", reference, due=-sign * payment.amount)
        else:
            account.standing.credits += net
            self._book(account, "credits_bought" if sign > 0 else "reversed", reference, credits=net)

    def _book(self, account: Account, kind: str, reference: str, **changes: int) -> None:
        account.entries.insert(0, pb.Entry(at=self.now(), kind=kind, reference=reference, **changes))


def reconciled(today: int, days: int = 14) -> list[pb.Reconciliation]:
    """Return comparisons of the days before `today`, newest first; one of them does not agree."""
    found = []
    for ago in range(1, days + 1):
        for meter, level in (("mails_stored", 4200), ("mails_delivered", 1900)):
            counted = int(level * (1 + 0.2 * math.sin(ago)))
            wrong = ago == 5 and meter == "mails_delivered"
            found.append(
                pb.Reconciliation(
                    day=today - ago, meter=meter, counted=counted, owned=counted + 3 * wrong, late=3 * wrong
                )
            )
    return found


def _page(known: Sequence[Any], limit: int, cursor: str) -> tuple[Sequence[Any], str]:
    first = int(cursor or 0)
    return known[first : first + limit], str(first + limit) if first + limit < len(known) else ""
