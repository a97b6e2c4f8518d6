"""Which servers take the mail of a domain (RFC 5321 section 5), and at which addresses they are.

MX records in the order of preference, in random order among equals; without any, the domain itself. What ends here for
good: no such domain, a null MX (RFC 7505), servers that do not exist, and a way that leads back to ourselves: hosts
from our own preference on are left out, as RFC 5321 5.1 has it, and with nothing left it is a loop. Addresses inside
networks that are not the world's are never connected to, whoever names them (libs.net.addresses).
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain, zip_longest

from libs.net.addresses import Network, is_public
from libs.runtime.errors import UnavailableError
from services.delivery.domain.model import Outcome
from services.delivery.transport.names import Answer, Names
from services.delivery.transport.replies import permanent, temporary

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\Z")
# More than anybody has; a longer list is cut before it costs memory in keys.
_MOST_HOSTS = 50


@dataclass(frozen=True, slots=True)
class Route:
    """Servers of a domain: groups of equal preference, the most wanted first.

    `authentic`: the resolver has proven that these are the ones. `fixed`: named by the operator, no look-up.
    """

    groups: tuple[tuple[str, ...], ...]
    port: int
    authentic: bool = False
    fixed: bool = False

    def hosts(self, most: int) -> list[str]:
        """Return the servers in the order to try, drawn anew each time, `most` of them."""
        return list(chain.from_iterable(random.sample(group, len(group)) for group in self.groups))[:most]


@dataclass(frozen=True, slots=True)
class Located:
    """The addresses of a server in the order to try. `canonical` is its name without aliases.

    `authentic`: the resolver has proven them.
    """

    addresses: tuple[str, ...]
    authentic: bool = False
    canonical: str = ""


class UnroutableError(Exception):
    """No way there, now or ever, as `outcome` says."""

    def __init__(self, outcome: Outcome) -> None:
        """Take the outcome."""
        super().__init__(outcome.status)
        self.outcome = outcome


class Router:
    """Finds servers and their addresses."""

    def __init__(self, names: Names, own_name: str, port: int, allowed: Sequence[Network]) -> None:
        """Take our own host name, the port of mail servers, and the networks allowed though not public."""
        self._names = names
        self._own_name = own_name.lower().rstrip(".")
        self._port = port
        self._allowed = tuple(allowed)

    async def find(self, domain: str) -> Route:
        """Return the servers of the A-label `domain`.

        Raises:
            UnroutableError: there are none, or it could not be found out.
        """
        if not _NAME.match(domain):
            raise UnroutableError(permanent("5.1.2", "not a domain that mail can be sent to"))
        answer = await self._look_up(domain, "MX")
        if not answer.exists:
            raise UnroutableError(permanent("5.1.2", "domain does not exist"))
        if not answer.records:
            if domain == self._own_name:
                raise UnroutableError(permanent("5.4.6", "mail for this domain leads back to this server"))
            return Route(((domain,),), self._port, answer.authentic)
        found = [(record.preference, record.exchange.to_text(True).lower()) for record in answer.records]
        if len(found) == 1 and found[0][1] in (".", "@", ""):
            raise UnroutableError(permanent("5.1.10", "domain takes no mail (null MX)"))
        return Route(self._groups(found), self._port, answer.authentic)

    async def locate(self, host: str) -> Located:
        """Return where the server `host` is.

        Raises:
            UnroutableError: nowhere (permanent), at no address that may be connected to (permanent), or not known now.
        """
        six, four = await asyncio.gather(self._try(host, "AAAA"), self._try(host, "A"))
        known = [answer for answer in (six, four) if answer is not None and answer.records]
        if not known and (six is None or four is None):
            raise UnroutableError(temporary("4.4.3", "address of the mail server could not be looked up", host))
        if not known:
            raise UnroutableError(permanent("5.4.4", "mail server has no address", host))
        found = [_shuffled(answer) for answer in (six, four) if answer is not None]
        # In turns: where one of the two leads nowhere, the other is next.
        mixed = [address for pair in zip_longest(*found) for address in pair if address is not None]
        addresses = tuple(address for address in mixed if is_public(address, self._allowed))
        if not addresses:
            raise UnroutableError(permanent("5.4.4", "address of the mail server is not a public one", host))
        return Located(addresses, all(answer.authentic for answer in known), known[0].canonical)

    def _groups(self, found: Sequence[tuple[int, str]]) -> tuple[tuple[str, ...], ...]:
        own = [preference for preference, host in found if host == self._own_name]
        if own:
            found = [one for one in found if one[0] < min(own)]
            if not found:
                raise UnroutableError(permanent("5.4.6", "mail for this domain leads back to this server"))
        valid = sorted({one for one in found if _NAME.match(one[1])})[:_MOST_HOSTS]
        if not valid:
            raise UnroutableError(permanent("5.4.4", "mail servers of the domain have no valid names"))
        groups: dict[int, list[str]] = {}
        for preference, host in valid:
            groups.setdefault(preference, []).append(host)
        return tuple(tuple(group) for group in groups.values())

    async def _look_up(self, name: str, kind: str) -> Answer:
        try:
            return await self._names.look_up(name, kind)
        except UnavailableError:
            raise UnroutableError(temporary("4.4.3", "domain could not be looked up")) from None

    async def _try(self, name: str, kind: str) -> Answer | None:
        try:
            return await self._names.look_up(name, kind)
        except UnavailableError:
            return None


async def locate_fixed(host: str, port: int, seconds: float) -> Located:
    """Return where a host named by the operator is: an address, or a name as this machine resolves names.

    Raises:
        UnroutableError: it is not known now.
    """
    try:
        return Located((str(ip_address(host)),))
    except ValueError:
        pass
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnroutableError(temporary("4.4.3", "smarthost could not be looked up")) from None
    return Located(tuple(dict.fromkeys(str(one[4][0]) for one in found)))


def _shuffled(answer: Answer) -> list[str]:
    addresses = [str(record.address) for record in answer.records]
    return random.sample(addresses, len(addresses))
