"""What billing keeps of customers, as a data class: it follows the account, and goes with it at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from libs.docstore.store import Document, Store
from libs.owner.classes import Owned, StoredClass, json_item
from libs.owner.model import HeldClass, Item, Subject, Wanted
from services.billing.customers import CUSTOMERS, Customers, customer_of
from services.billing.domain.customers import Details
from services.billing.gone import Gone


def classes(store: Store, customers: Customers, gone: Gone) -> list[HeldClass]:
    """Return the class `customer`."""
    return [CustomerClass(store, customers, gone)]


class CustomerClass(StoredClass):
    """The customers; an export opens what is sealed of who pays, an erasure of the document leaves nothing of it."""

    def __init__(self, store: Store, customers: Customers, gone: Gone) -> None:
        """Answer for `customers` in `store`."""
        owned = {CUSTOMERS.name: Owned("account", lambda subject: subject.account_id or None)}
        super().__init__("customer", store, [CUSTOMERS], owned=owned)
        self._customers = customers
        self._gone = gone

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass: the account is known to be gone before anything of it is deleted."""
        await self._gone.note([one for one in (subject.account_id, subject.mailbox_id) if one])
        return 0

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        found = await self._store.get(CUSTOMERS, subject.account_id) if subject.account_id else None
        if found is not None:
            details = Details() if wanted.disclosure else await self._customers.details(subject.account_id)
            yield json_item("customer.json", _shown(found, details))


def _shown(document: Document, details: Details) -> dict[str, Any]:
    customer = customer_of(document)
    return {
        "profile": customer.profile.value,
        "plan": customer.plan,
        "plan_day": customer.plan_day,
        "next_plan": customer.next_plan,
        "next_plan_day": customer.next_plan_day,
        "state": customer.state.value,
        "state_until": customer.state_until,
        "created_day": customer.created_day,
        "details": {
            "name": details.name,
            "address_lines": list(details.address_lines),
            "country": details.country,
            "vat_id": details.vat_id,
        },
    }
