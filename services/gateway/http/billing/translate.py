"""From billing's messages to the JSON of the API."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast
from urllib.parse import urlsplit

from libs.runtime.errors import InternalError
from protos.billing.v1 import billing_pb2 as pb
from services.gateway.http.billing import models
from services.gateway.http.translate import at, at_or_never

_DAY = 86400


def day(number: int) -> date:
    """Return the day `number` after 1970-01-01."""
    return datetime.fromtimestamp(number * _DAY, UTC).date()


def number_of(one: date) -> int:
    """Return how many days `one` comes after 1970-01-01."""
    return (one - date(1970, 1, 1)).days


def web_address(url: str) -> str:
    """Return `url`, which a browser is sent to. Raises: InternalError("url") unless it is of HTTPS."""
    parts = urlsplit(url)
    # A provider's stand-in on this machine is for tests and trials.
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
    ):
        raise InternalError("url")
    return url


def catalogue(found: pb.Catalogue) -> models.Offers:
    """Translate what there is."""
    return models.Offers(
        version=found.version,
        currency=found.currency,
        digits=found.digits,
        provider=found.provider,
        credit_packs=list(found.credit_packs),
        plans=[_plan(one) for one in found.plans],
    )


def _plan(found: pb.Plan) -> models.Plan:
    return models.Plan(
        name=found.name,
        title=found.title,
        help=found.help,
        price=found.price,
        trial_days=found.trial_days,
        allowances=[_allowance(one) for one in found.allowances],
    )


def _allowance(found: pb.Allowance) -> models.Allowance:
    return models.Allowance(
        meter=found.meter,
        title=found.title,
        per=found.per,
        included=None if found.included < 0 else found.included,
        unit=found.unit,
        tiers=[models.Tier(above=one.above, price=one.price, per_units=one.per_units or 1) for one in found.tiers],
    )


def standing(found: pb.Standing) -> models.Standing:
    """Translate how an account stands."""
    return models.Standing(
        plan=found.plan,
        state=cast(Any, found.state),
        state_until=at_or_never(found.state_until),
        next_plan=found.next_plan or None,
        next_plan_at=at_or_never(found.next_plan_at) if found.next_plan else None,
        used=[models.Used(allowance=_allowance(one.allowance), used=one.used) for one in found.used],
        credits=found.credits,
        credits_held=found.credits_held,
        due=found.due,
        due_at=at_or_never(found.due_at) if found.due else None,
        accruing=found.accruing,
        coming=[
            models.PriceChange(plan=one.plan, since=at(one.since), changes=list(one.changes)) for one in found.coming
        ],
    )


def usage(found: pb.Usage) -> models.Usage:
    """Translate a statement by day."""
    return models.Usage(days=[models.DayUsage(day=day(one.day), units=dict(one.units)) for one in found.days])


def details(found: pb.Details) -> models.Details:
    """Translate who pays."""
    return models.Details(
        name=found.name, address_lines=list(found.address_lines), country=found.country, vat_id=found.vat_id
    )


def invoice(found: pb.Invoice) -> models.Invoice:
    """Translate what is to be known of an invoice without its content."""
    return models.Invoice(
        number=found.number,
        kind=cast(Any, found.kind),
        issued=day(found.issued_day),
        due=day(found.due_day) if found.due_day else None,
        net=found.net,
        tax=found.tax,
        gross=found.gross,
        currency=found.currency,
        state=cast(Any, found.state),
        of=found.of or None,
    )


def entry(found: pb.Entry) -> models.BookEntry:
    """Translate an entry of a book."""
    return models.BookEntry(
        at=at(found.at),
        kind=found.kind,
        credits=found.credits,
        held=found.held,
        due=found.due,
        reference=found.reference,
    )


def payment(found: pb.Payment) -> models.Payment:
    """Translate a payment. Raises: InternalError("url")."""
    return models.Payment(
        id=found.payment_id,
        state=cast(Any, found.state),
        amount=found.amount,
        currency=found.currency,
        purpose=found.purpose,
        what=found.what,
        reference=found.reference,
        instructions=found.instructions,
        url=web_address(found.url) if found.url else None,
        created=at(found.created),
    )


def reconciliation(found: pb.Reconciliation) -> models.Reconciliation:
    """Translate a comparison."""
    return models.Reconciliation(
        day=day(found.day), meter=found.meter, counted=found.counted, owned=found.owned, late=found.late
    )
