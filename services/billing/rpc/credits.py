"""Credits for jobs: quoted, held, then captured or released."""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError, InvalidError
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingServicer
from services.billing.customers import Customers
from services.billing.domain.journal import Entry, Kind
from services.billing.domain.model import DAY, State
from services.billing.domain.pricing import price_of
from services.billing.ledger.books import Books
from services.billing.ledger.holds import Holds
from services.billing.rpc.convert import meter_of, who_of
from services.billing.rpc.plans import Context, Offers

_STATES = {Kind.CAPTURED: "captured", Kind.RELEASED: "released"}
_LONGEST_REFERENCE = 64
_MOST_UNITS = 10**9


@dataclass(frozen=True)
class CreditParts:
    """What this part of the servicer works with."""

    customers: Customers
    offers: Offers
    books: Books
    holds: Holds
    clock: Clock


class CreditsRpc(BillingServicer):
    """Quote, Hold, Capture, Release. Credits are bought with their tax, so what they pay for bears none."""

    _credits: CreditParts

    async def Quote(self, request: pb.QuoteRequest, context: Context) -> pb.Quoted:
        """See billing.proto."""
        who_of(request.account)
        catalogue = self._credits.offers.on(unix_seconds(self._credits.clock) // DAY)
        tiers = catalogue.prices.get(meter_of(request.meter))
        if tiers is None:
            raise InvalidError("no_price")
        if not 0 < request.units <= _MOST_UNITS:
            raise InvalidError("units")
        net = price_of(tiers, request.units)
        return pb.Quoted(net=net, gross=net, currency=catalogue.currency, version=catalogue.version)

    async def Hold(self, request: pb.HoldRequest, context: Context) -> pb.Held:
        """See billing.proto."""
        who = who_of(request.account)
        customer = await self._credits.customers.known(who.account_id, who.mailbox_id, who.profile)
        if customer.state is State.READ_ONLY:
            raise ExhaustedError("read_only")
        entry = await self._credits.holds.hold(who.account_id, _reference(request.reference), request.amount)
        settled = await self._credits.holds.settled(who.account_id, request.reference)
        return await self._held(who.account_id, settled or entry)

    async def Capture(self, request: pb.CaptureRequest, context: Context) -> pb.Held:
        """See billing.proto."""
        account_id = who_of(request.account).account_id
        if request.amount < 0:
            raise InvalidError("amount")
        entry = await self._credits.holds.capture(account_id, _reference(request.reference), request.amount)
        return await self._held(account_id, entry)

    async def Release(self, request: pb.HoldReference, context: Context) -> pb.Held:
        """See billing.proto."""
        account_id = who_of(request.account).account_id
        return await self._held(
            account_id, await self._credits.holds.release(account_id, _reference(request.reference))
        )

    async def _held(self, account_id: str, entry: Entry) -> pb.Held:
        balances = await self._credits.books.balances(account_id)
        state = _STATES.get(entry.posting.kind, "held")
        return pb.Held(state=state, amount=entry.posting.amounts[0], credits=balances.credits)


def _reference(text: str) -> str:
    if not (0 < len(text) <= _LONGEST_REFERENCE and text.isascii() and text.isprintable()):
        raise InvalidError("reference")
    return text
