"""The resolver of the ways out: dnspython on asyncio, without search lists and without the machine's hosts file.

What strangers name is looked up as they wrote it: a search list would turn their names into names of the network that
this runs in. Answers are not kept here; who wants to keep them knows how long they may be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import dns.asyncresolver
import dns.name
import dns.nameserver
import dns.resolver

_TRY_SECONDS = 2.0
_DNS_PORT = 53


def make_resolver(resolvers: Sequence[str]) -> dns.asyncresolver.Resolver:
    """Return a resolver that asks `resolvers` ("address", "address:port", "[address]:port"), or the system's if empty.

    Raises:
        ValueError: one of them is none of that.
    """
    try:
        resolver = dns.asyncresolver.Resolver(configure=not resolvers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
    if resolvers:
        resolver.nameservers = [_server(text) for text in resolvers]
    resolver.timeout = _TRY_SECONDS
    resolver.cache = None
    resolver.search = []
    resolver.domain = dns.name.root
    return resolver


def _server(text: str) -> dns.nameserver.Nameserver:
    if text.startswith("[") or text.count(":") == 1:
        host, _, port = text.rpartition(":")
        return dns.nameserver.Do53Nameserver(str(ip_address(host.strip("[]"))), int(port))
    return dns.nameserver.Do53Nameserver(str(ip_address(text)), _DNS_PORT)
