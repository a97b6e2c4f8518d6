"""Issued documents as their payers see them: listed, read as a file, settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from libs.docstore.fields import number as number_field
from libs.docstore.store import Document, Patch, Query, Store
from libs.envelope import Vault
from libs.runtime.backoff import Backoff
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from services.billing.invoicing.content import Content, content_of
from services.billing.invoicing.documents import INVOICES, Invoice, Kind, State, book_reference, invoice_of
from services.billing.invoicing.json_form import json_form
from services.billing.invoicing.pdf_form import pdf_form

_MOST = 100
_FORMS: dict[str, tuple[str, Callable[[Invoice, Content], bytes]]] = {
    "json": ("application/json", json_form),
    "pdf": ("application/pdf", pdf_form),
}


class OpenAmounts(Protocol):
    """The books of customers."""

    async def open_amount(self, account_id: str, reference: str) -> int:
        """Return what of an invoice has to be paid. Raises: NotFoundError("invoice"), UnavailableError."""


@dataclass(frozen=True)
class Page:
    """Some documents, newest first; `cursor` is empty where there are no older ones."""

    invoices: tuple[Invoice, ...]
    cursor: str


@dataclass(frozen=True)
class File:
    """A document in one of its forms."""

    name: str
    media_type: str
    content: bytes


class Invoices:
    """The issued documents of one store, opened with INVOICES. All methods raise UnavailableError."""

    def __init__(self, store: Store, vault: Vault, books: OpenAmounts, backoff: Backoff | None = None) -> None:
        """Read from `store`; `books` know what is paid."""
        self._books = books
        self._store = store
        self._vault = vault
        self._backoff = backoff or Backoff(first=0.01, ceiling=0.2, attempts=10)

    async def list(self, account_id: str, limit: int, cursor: str = "") -> Page:
        """Return 1 to 100 documents of an account; `cursor` as the page before gave it. Raises: InvalidError."""
        if not 0 < limit <= _MOST:
            raise InvalidError("limit")
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):  # fits an index's integer
            raise InvalidError("cursor")
        upper = int(cursor) if cursor else None
        query = Query(INVOICES, "account", (account_id,), upper=upper, descending=True, limit=limit + 1)
        found = await self._store.find(query)
        older = str(number_field(found[limit].body, "serial")) if len(found) > limit else ""
        return Page(tuple(map(invoice_of, found[:limit])), older)

    async def get(self, account_id: str, number: str) -> Invoice:
        """Return an account's document. Raises: NotFoundError("invoice")."""
        return invoice_of(await self._find(account_id, number))

    async def file(self, account_id: str, number: str, form: str) -> File:
        """Return an account's document as "json" or "pdf". Raises: NotFoundError("invoice"), InvalidError("form")."""
        if form not in _FORMS:
            raise InvalidError("form")
        document = await self._find(account_id, number)
        media_type, write = _FORMS[form]
        content = content_of(self._vault, document)
        # Setting a page takes tens of milliseconds, in which the loop does something else.
        written = await asyncio.to_thread(write, invoice_of(document), content)
        return File(f"{number}.{form}", media_type, written)

    async def settle(self, account_id: str, number: str) -> Invoice:
        """Have an invoice say what the books say of it: paid, or not; again changes nothing.

        Raises: NotFoundError("invoice").
        """
        async for _ in self._backoff:
            invoice = invoice_of(await self._find(account_id, number))
            if invoice.kind is not Kind.INVOICE:
                raise NotFoundError("invoice")
            if invoice.state is State.CREDITED:
                return invoice
            left = await self._books.open_amount(account_id, book_reference(number))
            state = State.OPEN if left > 0 else State.PAID
            if invoice.state is state:
                return invoice
            try:
                await self._store.write(Patch(INVOICES, invoice.key, {"state": state.value}, version=invoice.version))
            except ConflictError:
                continue  # credited meanwhile, or settled
            return replace(invoice, state=state, version=invoice.version + 1)
        raise UnavailableError("invoice_contended")

    async def open_of(self, account_id: str) -> Sequence[Invoice]:
        """Return an account's invoices that are not paid, of its hundred newest documents, the oldest first."""
        page = await self.list(account_id, _MOST)
        return [one for one in reversed(page.invoices) if one.kind is Kind.INVOICE and one.state is State.OPEN]

    async def due_day(self, account_id: str) -> int:
        """Return the first day on which an unpaid invoice of an account is due; 0: there is none."""
        return min((one.due_day for one in await self.open_of(account_id)), default=0)

    async def open_page(self, day: int, limit: int, cursor: str) -> tuple[Sequence[Invoice], str]:
        """Return invoices that are not paid and due on `day` or before, and the cursor of the next page, "" if none.

        Credit notes are left out of the page, not of its length. Raises: InvalidError("cursor").
        """
        due, _, key = cursor.partition(".")
        if cursor and not (due.isascii() and due.isdigit() and len(due) < 10 and key):
            raise InvalidError("cursor")
        position = (int(due), key) if cursor else None
        query = Query(INVOICES, "unpaid", (State.OPEN.value,), upper=day, after=position, limit=limit)
        found = [invoice_of(document) for document in await self._store.find(query)]
        following = f"{found[-1].due_day}.{found[-1].key}" if len(found) == limit else ""
        return [one for one in found if one.kind is Kind.INVOICE], following

    async def account_of(self, number: str) -> str:
        """Return whose an invoice is. Raises: NotFoundError("invoice")."""
        found = await self._store.find(Query(INVOICES, "number", (number,), limit=1)) if number else []
        invoice = invoice_of(found[0]) if found else None
        if invoice is None or invoice.kind is not Kind.INVOICE:
            raise NotFoundError("invoice")
        return invoice.account_id

    async def overdue(self, day: int, limit: int, after: Invoice | None = None) -> Sequence[Invoice]:
        """Return invoices that were due on `day` or before and are not paid, the oldest first; `after` is the last
        of the page before. Credit notes are among them: nobody owes them."""
        position = (after.due_day, after.key) if after is not None else None
        query = Query(INVOICES, "unpaid", (State.OPEN.value,), upper=day, after=position, limit=limit)
        return [invoice_of(document) for document in await self._store.find(query)]

    async def _find(self, account_id: str, number: str) -> Document:
        found = await self._store.find(Query(INVOICES, "number", (number,), limit=1)) if number else []
        if not found or invoice_of(found[0]).account_id != account_id:
            raise NotFoundError("invoice")
        return found[0]
