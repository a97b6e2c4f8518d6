"""Brings mail to the mail servers of the world: MX, connections, TLS policies, SMTP. sender has the way of a mail."""

from __future__ import annotations

from contextlib import AsyncExitStack

from libs.net.addresses import parse_networks
from libs.net.http import Fetched, GuardedHttp
from libs.runtime.clock import Clock
from services.delivery.transport.destinations import Destinations
from services.delivery.transport.names import Names
from services.delivery.transport.opening import Opener
from services.delivery.transport.pool import Pool
from services.delivery.transport.routes import Route, Router
from services.delivery.transport.sender import MxTransport, Parts
from services.delivery.transport.settings import TransportSettings, Tuning
from services.delivery.transport.sts import Policies, PolicyStore
from services.delivery.transport.tls import Tls

_DEFAULT = Tuning()


def make_transport(
    settings: TransportSettings, clock: Clock, *, tuning: Tuning = _DEFAULT, policies: PolicyStore | None = None
) -> MxTransport:
    """Return a transport; needs a running event loop, and `aclose` in the end.

    `policies` keeps MTA-STS policies over a restart; without it they are found anew.

    Raises:
        OSError, ValueError: `ca_file` is unreadable, a network or resolver malformed.
    """
    patience, bounds = tuning.patience, tuning.bounds
    owned = AsyncExitStack()
    http = GuardedHttp(
        resolvers=settings.resolvers,
        allowed_networks=settings.allowed_networks,
        ports=settings.fetch_ports,
        ca_file=settings.ca_file,
    )
    owned.push_async_callback(http.aclose)

    async def fetch(url: str) -> Fetched:
        return await http.fetch("GET", url, seconds=patience.policy)

    names = Names(settings.resolvers, clock, patience.dns)
    owned.push_async_callback(names.aclose)
    port = settings.fetch_ports[0] if settings.fetch_ports else 443
    known = Policies(names, fetch, clock, port=port, store=policies)
    owned.push_async_callback(known.aclose)
    pool = Pool(settings.per_destination, bounds, patience.close)
    owned.push_async_callback(pool.aclose)
    router = Router(names, settings.hostname, settings.mx_port, parse_networks(settings.allowed_networks))
    opener = Opener(settings.hostname, Tls(settings.ca_file), patience, clock)
    destinations = Destinations(router, names, known, bounds, patience)
    return MxTransport(Parts(destinations, opener, pool, owned), clock, _smarthost(settings.smarthost), tuning)


def _smarthost(address: str) -> Route | None:
    if not address:
        return None
    host, _, port = address.rpartition(":")
    return Route(((host.removeprefix("[").removesuffix("]"),),), int(port), fixed=True)
