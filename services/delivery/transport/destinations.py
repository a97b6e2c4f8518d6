"""From a domain to what is tried: its servers, what each must prove, and the addresses in the order of trying.

Who wins where policies meet: MTA-STS in mode enforce says which names may be servers at all; a server with proven TLSA
records has to match these, any other has to show the certificate that MTA-STS asks for (RFC 8461 section 2: MTA-STS
never makes good a failing DANE). DANE counts only if MX, address and TLSA answers are all proven (RFC 7672 2.2). TLSA
records that cannot be looked up, where they could count, put the server out of use for now, for whoever suppresses them
wants clear text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from libs.runtime.errors import UnavailableError
from services.delivery.domain.model import Outcome, Result
from services.delivery.transport import dane
from services.delivery.transport.breaker import Breaker
from services.delivery.transport.names import Names, to_ascii
from services.delivery.transport.opening import Target
from services.delivery.transport.replies import permanent, temporary
from services.delivery.transport.routes import Located, Route, Router, UnroutableError, locate_fixed
from services.delivery.transport.settings import Bounds, Patience
from services.delivery.transport.sts import Policies
from services.delivery.transport.tls import Demand, Level


@dataclass(frozen=True, slots=True)
class Destination:
    """Servers and what is demanded of all of them. Domains of which both are equal share connections."""

    route: Route
    level: Level = Level.MAY


class Destinations:
    """Finds destinations, and the targets within them."""

    def __init__(self, router: Router, names: Names, policies: Policies, bounds: Bounds, patience: Patience) -> None:
        """Take what looks up."""
        self._router = router
        self._names = names
        self._policies = policies
        self._bounds = bounds
        self._patience = patience

    async def find(self, domain: str) -> Destination:
        """Return the destination for `domain` (U-labels are taken too).

        Raises:
            UnroutableError: there is none, or none now.
        """
        name = to_ascii(domain)
        if name is None:
            raise UnroutableError(permanent("5.1.2", "not a domain that mail can be sent to"))
        route = await self._router.find(name)
        policy = await self._policies.find(name)
        if policy is None or policy.mode != "enforce":
            return Destination(route)
        groups = tuple(tuple(host for host in group if policy.allows(host)) for group in route.groups)
        groups = tuple(group for group in groups if group)
        if not groups:
            raise UnroutableError(temporary("4.7.5", "the policy (MTA-STS) of the domain names none of its servers"))
        return Destination(Route(groups, route.port, route.authentic), Level.PKIX)

    async def targets(
        self, destination: Destination, failing: Breaker[tuple[str, int]]
    ) -> AsyncGenerator[Target | Outcome, None]:
        """Yield addresses to try, those that did not answer lately last; an Outcome for each server without any."""
        later: list[Target] = []
        for host in destination.route.hosts(self._bounds.hosts):
            try:
                located, demand = await self._locate(destination, host)
            except UnroutableError as error:
                yield error.outcome
                continue
            for address in located.addresses[: self._bounds.addresses_per_host]:
                target = Target(host, address, destination.route.port, demand)
                if failing.is_open((address, target.port)):
                    later.append(target)
                else:
                    yield target
        for target in later:
            yield target

    async def _locate(self, destination: Destination, host: str) -> tuple[Located, Demand]:
        route = destination.route
        if route.fixed:
            return await locate_fixed(host, route.port, self._patience.dns), Demand(Level.MAY, (), (host,))
        located = await self._router.locate(host)
        if route.authentic and located.authentic:
            demand = await self._dane(host, located, route.port)
            if demand is not None and not (demand.level is Level.MUST and destination.level is Level.PKIX):
                return located, demand
        return located, Demand(destination.level, (), (host,))

    async def _dane(self, host: str, located: Located, port: int) -> Demand | None:
        """Return what the TLSA records of `host` demand, None if it has none. The end of its aliases comes first."""
        for base in dict.fromkeys((located.canonical, host)):
            try:
                answer = await self._names.look_up(f"_{port}._tcp.{base}", "TLSA")
            except UnavailableError:
                raise UnroutableError(temporary("4.7.5", "TLSA records could not be looked up", host)) from None
            if answer.records and answer.authentic:
                records = dane.usable(answer.records)
                return Demand(Level.DANE if records else Level.MUST, records, tuple(dict.fromkeys((base, host))))
        return None


def worse(one: Outcome | None, other: Outcome) -> Outcome:
    """Return what to say of a destination with these two failures: the later one, but temporary outweighs permanent."""
    if one is not None and one.result is Result.TEMPORARY and other.result is Result.PERMANENT:
        return one
    return other
