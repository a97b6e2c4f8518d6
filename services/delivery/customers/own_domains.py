"""The records that the domains of this installation need, looked at now; for operators."""

from __future__ import annotations

import asyncio

from libs.runtime.clock import Clock, unix_seconds
from services.delivery.customers.looking import look
from services.delivery.customers.sender_domains import DomainPeers, DomainView
from services.delivery.domain.sender_domains import Installation, RecordState, Wanted, bounce_records, own_records


class OwnDomains:
    """The domains served here and that of return paths."""

    def __init__(self, peers: DomainPeers, installation: Installation, clock: Clock) -> None:
        """Ask `peers`."""
        self._peers = peers
        self._installation = installation
        self._clock = clock

    async def list(self) -> list[DomainView]:
        """Return all of them with the state of each record. Raises: SealpostError."""
        served = await self._peers.accounts.served()
        views = [self._view(one.name, await self._records(one.name, one.sends)) for one in served]
        views.append(self._view(self._installation.bounce_domain, bounce_records(self._installation)))
        return list(await asyncio.gather(*views))

    async def _records(self, domain: str, sends: bool) -> tuple[Wanted, ...]:
        dkim = await self._peers.dkim.ensure(domain) if sends else ()
        return own_records(domain, [(one.selector, one.record) for one in dkim], self._installation)

    async def _view(self, domain: str, wanted: tuple[Wanted, ...]) -> DomainView:
        states = await look(self._peers.dns, wanted)
        required = zip(wanted, states, strict=True)
        complete = all(state is RecordState.OK for record, state in required if record.required)
        return DomainView(domain, complete, list(zip(wanted, states, strict=True)), unix_seconds(self._clock))
