"""Keeps customers, one document for each account.

Nobody tells billing of a new account: whoever asks for one names its mailbox and profile, and the first who does makes
the customer, with the plan of those who never chose. Every change is by version, so of two that change a customer at
once one finds it changed and begins again. Who pays is sealed in the same document and never part of a `Customer`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from libs.docstore.fields import blob, choice, number, text, texts
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Patch, Query, Store, Value
from libs.envelope import Vault, place_of
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, NotFoundError, UnavailableError
from services.billing.domain.customers import Customer, Details, Span
from services.billing.domain.model import DAY, Profile, State
from services.billing.gone import Gone

CUSTOMERS = Collection(
    "customers",
    (
        Index("account", ("account",)),
        Index("due", ("due",)),
        Index("made", ("created_day",)),
        Index("states", ("state",)),
    ),
    fields=(
        "account",
        "mailbox",
        "profile",
        "plan",
        "plan_day",
        "next_plan",
        "next_plan_day",
        "state",
        "state_until",
        "details",
        "provider_ref",
        "created_day",
        "spans",
        "trial_day",
        "due",
    ),
)

DefaultPlan = Callable[[Profile, int], str]


class Customers:
    """The customers in one store, opened with CUSTOMERS."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, gone: Gone, default_plan: DefaultPlan) -> None:
        """Keep them in `store`, nobody who is gone; `default_plan` names the plan of who never chose."""
        self._store = store
        self._vault = vault
        self._clock = clock
        self._gone = gone
        self._default_plan = default_plan
        self._backoff = Backoff(first=0.002, ceiling=0.1, attempts=10)

    async def get(self, account_id: str) -> Customer | None:
        """Return a customer, None if there is none. Raises: UnavailableError."""
        found = await self._store.get(CUSTOMERS, account_id)
        return customer_of(found) if found is not None else None

    async def known(self, account_id: str, mailbox_id: str, profile: Profile) -> Customer:
        """Return the customer, made where there is none, with the mailbox and the profile that he has now.

        Of who does not know the mailbox ("") nobody loses his. Raises: NotFoundError("account") for one that is erased;
        UnavailableError.
        """
        today = unix_seconds(self._clock) // DAY
        async for _ in self._backoff:
            plan = self._default_plan(profile, today)
            customer = await self.get(account_id)
            try:
                if customer is not None:
                    now = customer.moved(mailbox_id or customer.mailbox_id, profile, plan, today)
                    return customer if now == customer else await self.put(now)
                spans = (Span(plan, today),)
                made = Customer(account_id, mailbox_id, profile, plan, today, created_day=today, spans=spans)
                written = await self._store.write(self.insert(made))
            except (ConflictError, NotFoundError):
                continue  # made, changed or erased by somebody else at this moment
            await self._refuse_gone(account_id)
            return _at(made, written.version)
        raise UnavailableError("customer_contended")

    def insert(self, customer: Customer) -> Insert:
        """Return the operation that makes a customer."""
        return Insert(CUSTOMERS, customer.account_id, _fields(customer))

    async def _refuse_gone(self, account_id: str) -> None:
        """Undo the making of who is erased. After it was written: see gone.py."""
        if await self._gone.among([account_id]):
            with suppress(NotFoundError):
                await self._store.write(Delete(CUSTOMERS, account_id))
            raise NotFoundError("account")

    async def put(self, customer: Customer) -> Customer:
        """Write a customer as he was read and changed; return him with his new version.

        Raises: ConflictError("version") where somebody else has changed him; NotFoundError; UnavailableError.
        """
        patch = Patch(CUSTOMERS, customer.account_id, _fields(customer), version=customer.version)
        written = await self._store.write(patch)
        return _at(customer, written.version)

    async def details(self, account_id: str) -> Details:
        """Return who pays; of who never told, nothing. Raises: UnavailableError."""
        found = await self._store.get(CUSTOMERS, account_id)
        if found is None or found.body.get("details") is None:
            return Details()
        return _details_of(self._vault.open(_place(account_id), blob(found.body, "details")))

    async def put_details(self, account_id: str, details: Details) -> None:
        """Write down, sealed, who pays. Raises: NotFoundError, UnavailableError."""
        sealed = self._vault.seal(_place(account_id), _details_bytes(details))
        await self._store.write(Patch(CUSTOMERS, account_id, {"details": sealed}))

    async def due(self, limit: int = 200) -> list[Customer]:
        """Return customers with whom something has to be done by now, the oldest first. Raises: UnavailableError."""
        query = Query(CUSTOMERS, "due", upper=unix_seconds(self._clock), limit=limit)
        return [customer_of(document) for document in await self._store.find(query)]

    async def page(self, after: Customer | None = None, limit: int = 200) -> list[Customer]:
        """Return customers in the order in which they came, those after `after`. Raises: UnavailableError."""
        place = (after.created_day, after.account_id) if after is not None else None
        query = Query(CUSTOMERS, "made", after=place, limit=limit)
        return [customer_of(document) for document in await self._store.find(query)]

    async def in_state(self, state: State, after: Customer | None = None, limit: int = 200) -> list[Customer]:
        """Return customers in a state, those after `after`. Raises: UnavailableError."""
        place = (state.value, after.account_id) if after is not None else None
        query = Query(CUSTOMERS, "states", lower=state.value, upper=state.value, after=place, limit=limit)
        return [customer_of(document) for document in await self._store.find(query)]

    async def in_order(self, after: str, limit: int) -> list[Customer]:
        """Return customers whose account ids are above `after`, ascending. Raises: UnavailableError."""
        query = Query(CUSTOMERS, "account", after=(after, after) if after else None, limit=limit)
        return [customer_of(document) for document in await self._store.find(query)]


def customer_of(document: Document) -> Customer:
    """Return the stored customer. Raises: InternalError("document_damaged")."""
    body = document.body
    return Customer(
        account_id=document.key,
        mailbox_id=text(body, "mailbox"),
        profile=choice(Profile, text(body, "profile")),
        plan=text(body, "plan"),
        plan_day=number(body, "plan_day"),
        next_plan=text(body, "next_plan"),
        next_plan_day=number(body, "next_plan_day"),
        state=choice(State, text(body, "state")),
        state_until=number(body, "state_until"),
        provider_ref=text(body, "provider_ref"),
        created_day=number(body, "created_day"),
        spans=tuple(_spans(body)),
        trial_day=number(body, "trial_day"),
        version=document.version,
    )


def _spans(body: Body) -> Iterator[Span]:
    stored = body.get("spans")
    for span in stored if isinstance(stored, list) else ():
        if not isinstance(span, dict):
            raise InternalError("document_damaged")
        yield Span(text(span, "plan"), number(span, "day"), span.get("billed") is True)


def _fields(customer: Customer) -> dict[str, Value]:
    """Return all fields but the details, which are written by themselves."""
    return {
        "account": customer.account_id,
        "mailbox": customer.mailbox_id,
        "profile": customer.profile.value,
        "plan": customer.plan,
        "plan_day": customer.plan_day,
        "next_plan": customer.next_plan,
        "next_plan_day": customer.next_plan_day,
        "state": customer.state.value,
        "state_until": customer.state_until,
        "provider_ref": customer.provider_ref,
        "created_day": customer.created_day,
        "spans": [{"plan": span.plan, "day": span.first_day, "billed": span.billed} for span in customer.spans],
        "trial_day": customer.trial_day,
        "due": customer.due or None,
    }


def _at(customer: Customer, version: int) -> Customer:
    return replace(customer, version=version)


def _place(account_id: str) -> str:
    return place_of(CUSTOMERS.name, account_id, "details")


def _details_bytes(details: Details) -> bytes:
    return json.dumps([details.name, list(details.address_lines), details.country, details.vat_id]).encode()


def _details_of(content: bytes) -> Details:
    told = json.loads(content)
    if not isinstance(told, list) or len(told) != 4:
        raise InternalError("document_damaged")
    name, lines, country, vat_id = told
    body: dict[str, Value] = {"name": name, "lines": lines, "country": country, "vat_id": vat_id}
    return Details(text(body, "name"), texts(body, "lines"), text(body, "country"), text(body, "vat_id"))
