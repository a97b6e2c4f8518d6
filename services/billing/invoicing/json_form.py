"""An invoice as JSON, for programs: amounts in minor units, days as in ISO 8601, the rate of tax in per cent."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import Any

from services.billing.invoicing.content import Content
from services.billing.invoicing.documents import Invoice

FORMAT = "sealpost-invoice/1"
_EPOCH = date(1970, 1, 1).toordinal()
_THOUSANDTHS = 1000


def json_form(invoice: Invoice, content: Content) -> bytes:
    """Return an issued document."""
    return json.dumps(_fields(invoice, content), ensure_ascii=False, indent=2).encode() + b"\n"


def iso(day: int) -> str:
    """Return a day as YYYY-MM-DD."""
    return date.fromordinal(_EPOCH + day).isoformat()


def percent(rate: int) -> str:
    """Return thousandths of a per cent as per cent: 8100 is "8.1"."""
    whole, part = divmod(rate, _THOUSANDTHS)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".")


def _fields(invoice: Invoice, content: Content) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "number": invoice.number,
        "kind": invoice.kind.value,
        "of": invoice.of or None,
        "state": invoice.state.value,
        "issued": iso(invoice.issued_day),
        "due": iso(invoice.due_day),
        "period": {"first": iso(content.first_day), "last": iso(content.last_day)},
        "seller": asdict(content.seller),
        "payer": asdict(content.payer),
        "currency": invoice.currency,
        "digits": content.digits,
        "lines": [
            {"title": line.title, "meter": line.meter, "units": line.units, "net": line.net} for line in content.lines
        ],
        "net": invoice.net,
        "tax": {"title": content.tax.title, "percent": percent(content.tax.rate), "amount": invoice.tax},
        "note": content.tax.note or None,
        "gross": invoice.gross,
        "usage": [{"day": iso(day), "units": dict(content.usage[day])} for day in sorted(content.usage)],
    }
