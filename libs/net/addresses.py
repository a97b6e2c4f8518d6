"""Which IP addresses are somebody else's on the internet, and which are ours or nobody's.

Hosts that strangers name (webhooks, MX records, key directories) must not lead into the network that this runs in. The
question is answered by lists of our own rather than by `ipaddress.is_global`, whose answers changed between patch
releases: of IPv4 everything but the special-purpose registry of IANA (RFC 6890) and multicast, of IPv6 nothing but
global unicast (2000::/3) without the special parts of it. Addresses that carry an IPv4 address are judged by what they
lead to: IPv4-mapped ones (the kernel connects to the address inside) and NAT64 (RFC 6052; networks without IPv4 reach
the world so). 6to4 and Teredo lead through strangers' relays to a place that cannot be judged, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_SPECIAL_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers (RFC 6598), and by clouds for their own services
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, metadata of cloud machines
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # assignments of the IETF: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str | Address, allowed: Sequence[Network] = ()) -> bool:
    """Return whether connections to `address` may be made: it is public, or in one of `allowed`.

    False too for a text that is no address in its canonical notation, and for one with a zone (RFC 4007).
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = _inside(ip)
        if inner is not None:
            return _is_in(ip, allowed) or is_public(inner, allowed)
    if _is_in(ip, allowed):
        return True
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    return ip in _GLOBAL_V6 and not any(ip in network for network in _SPECIAL_V6)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of a setting, e.g. "10.0.0.0/8" or "::1".

    Raises:
        ValueError: one is none.
    """
    return tuple(ip_network(text) for text in texts)


def network_of(address: str | Address) -> str:
    """Return what one client is known by: an IPv4 address, or the /64 of an IPv6 address, which one subscriber gets.

    Raises: ValueError for no address.
    """
    ip = ip_address(address)
    return str(IPv6Address(int(ip) >> 64 << 64)) if isinstance(ip, IPv6Address) else str(ip)


def _inside(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


def _is_in(ip: Address, networks: Sequence[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
