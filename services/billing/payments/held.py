"""Payments as a data class: they stay as long as the books that they are in, messages of the provider for a month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.docstore.fields import number
from libs.docstore.store import Collection, Document, Query, Store
from libs.owner.classes import Due, Owned, StoredClass
from libs.owner.model import Erased, HeldClass, Subject, Wanted
from services.billing.domain.model import DAY
from services.billing.payments.model import PAYMENTS, payment_of
from services.billing.payments.taking import WEBHOOK_EVENTS

_PAGE = 200


def classes(store: Store, seconds: Callable[[], int], webhook_seconds: Callable[[], int]) -> list[HeldClass]:
    """Return the class `payment`; how long law keeps a payment, and how long a message is known."""
    return [PaymentClass(store, seconds, webhook_seconds)]


class PaymentClass(StoredClass):
    """Payments, and which messages of the provider are known."""

    def __init__(self, store: Store, seconds: Callable[[], int], webhook_seconds: Callable[[], int]) -> None:
        """Answer for what is in `store`."""
        super().__init__(
            "payment",
            store,
            [PAYMENTS, WEBHOOK_EVENTS],
            due={
                PAYMENTS.name: Due("created", offset=seconds),
                WEBHOOK_EVENTS.name: Due("taken", offset=webhook_seconds),
            },
            owned={PAYMENTS.name: Owned("account", lambda subject: subject.account_id or None)},
            shown=_shown,
        )
        self._seconds = seconds

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: law keeps all of them."""
        kept, last = 0, 0
        after: tuple[int, str] | None = None
        while subject.account_id:
            page = await self._store.find(Query(PAYMENTS, "account", (subject.account_id,), after=after, limit=_PAGE))
            kept += len(page)
            last = max([last, *(number(one.body, "created") for one in page)])
            if len(page) < _PAGE:
                break
            after = (number(page[-1].body, "created"), page[-1].key)
        return Erased(kept=kept, kept_until_day=(last + self._seconds()) // DAY + 1) if kept else Erased()


def _shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
    payment = payment_of(document)
    if payment.created < wanted.since or (wanted.until and payment.created > wanted.until):
        return None
    return {
        "purpose": payment.purpose.value,
        "what": payment.what,
        "amount": payment.amount,
        "currency": payment.currency,
        "state": payment.state.value,
        "provider": payment.provider,
        "created": payment.created,
    }
