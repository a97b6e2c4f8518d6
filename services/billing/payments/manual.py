"""Payment by transfer: a reference is given out, and an officer records what came with it. It needs nobody else."""

from __future__ import annotations

from libs.runtime.errors import ConflictError, InvalidError
from services.billing.domain.customers import Customer
from services.billing.payments.model import Payment
from services.billing.payments.ports import Started, Told, Webhook
from services.billing.payments.references import new_reference


class ManualProvider:
    """Implements ports.Provider."""

    name = "manual"
    sells_plans = False

    async def start(self, payment: Payment, customer: Customer, title: str) -> Started:
        """See Provider."""
        return Started(reference=new_reference())

    async def portal(self, customer: Customer) -> str:
        """See Provider: there is nothing to see."""
        raise ConflictError("no_portal")

    async def end_plans(self, customer: Customer, but: str = "") -> None:
        """See Provider: what is billed by the month ends by itself."""

    async def go_on(self, customer: Customer) -> None:
        """See Provider."""

    def webhook(self, body: bytes, signature: str) -> Webhook:
        """See Provider: nobody sends any."""
        raise InvalidError("webhook")

    async def look(self, webhook: Webhook) -> Told | None:
        """See Provider."""
        return None
