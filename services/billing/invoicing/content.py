"""What an invoice says, beside its amounts: who issues it, who pays, for what; sealed where it is stored.

It is JSON inside, with the names of the fields below; a reader that meets a name it does not know has a damaged
document before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from libs.docstore.fields import blob
from libs.docstore.store import Document
from libs.envelope import Vault, place_of
from libs.runtime.errors import InternalError
from services.billing.domain.customers import Details
from services.billing.domain.model import Meter, Seller
from services.billing.domain.pricing import Line


@dataclass(frozen=True, slots=True)
class TaxLine:
    """How an invoice is taxed: the rate in thousandths of a per cent, what it is called, and what law wants said."""

    rate: int
    title: str
    note: str = ""


@dataclass(frozen=True)
class Content:
    """The sealed part of a document. Days are since 1970-01-01; `last_day` is the last of the period."""

    seller: Seller
    payer: Details
    first_day: int
    last_day: int
    digits: int
    lines: tuple[Line, ...]
    tax: TaxLine
    # By day: what was used.
    usage: Mapping[int, Mapping[Meter, int]] = field(default_factory=dict)


def seal_content(vault: Vault, key: str, content: Content) -> bytes:
    """Return the sealed content of the document with this key."""
    return vault.seal(_place(key), json.dumps(asdict(content), separators=(",", ":"), ensure_ascii=False).encode())


def content_of(vault: Vault, document: Document) -> Content:
    """Return what a stored document says. Raises: InternalError("document_damaged"), UnavailableError."""
    try:
        return _content_of(json.loads(vault.open(_place(document.key), blob(document.body, "content"))))
    except (KeyError, TypeError, ValueError) as error:
        raise InternalError("document_damaged") from error


def _content_of(raw: dict[str, Any]) -> Content:
    seller, payer = raw.pop("seller"), raw.pop("payer")
    lines, usage = raw.pop("lines"), raw.pop("usage")
    return Content(
        seller=Seller(**{**seller, "address_lines": tuple(seller["address_lines"])}),
        payer=Details(**{**payer, "address_lines": tuple(payer["address_lines"])}),
        lines=tuple(Line(**{**line, "meter": Meter(line["meter"]) if line["meter"] else None}) for line in lines),
        usage={int(day): {Meter(meter): units for meter, units in of.items()} for day, of in usage.items()},
        tax=TaxLine(**raw.pop("tax")),
        **raw,
    )


def _place(key: str) -> str:
    return place_of("invoices", key, "content")
