"""Who is asking, as far as limits are concerned: the address of the client, behind proxies that we trust.

A proxy appends the address of its own client to X-Forwarded-For, so only the right end of that list is worth anything:
it is read from the right, past the proxies that the settings name, and the first other address is the client. Whatever
stands left of it was written by the client himself. From a peer that is not a trusted proxy the field is not looked at.

Addresses count without their notation: an IPv4 address mapped into IPv6 is the IPv4 address; of IPv6 the /64 counts,
for that is what one subscriber gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from libs.net.addresses import network_of
from libs.runtime.settings import SettingsError

_Address = IPv4Address | IPv6Address
_UNKNOWN = "unknown"
# More hops than any installation has; the rest of a longer list is not read.
_MOST_HOPS = 16


class Clients:
    """Tells clients apart."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """Believe the X-Forwarded-For of these addresses and networks ("10.0.0.0/8"); SettingsError for others."""
        self._networks: list[IPv4Network | IPv6Network] = []
        for text in trusted:
            try:
                self._networks.append(ip_network(text, strict=False))
            except ValueError:
                raise SettingsError(["SEALPOST_TRUSTED_PROXIES: expected IP addresses or networks"]) from None

    def is_proxy(self, peer: str) -> bool:
        """Tell whether the connection comes from a trusted proxy, which stands for many clients."""
        address = _parse(peer)
        return address is not None and self._trusts(address)

    def key_of(self, scope: Scope) -> str:
        """Return what the limits of this request are counted by."""
        peer = scope["client"][0] if scope.get("client") else ""
        address = _parse(peer)
        if address is None:
            return _UNKNOWN
        if self._networks and self._trusts(address):
            address = self._forwarded(address, scope["headers"])
        return network_of(address)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def _forwarded(self, proxy: _Address, headers: Iterable[tuple[bytes, bytes]]) -> _Address:
        fields = [value for name, value in headers if name == b"x-forwarded-for"]
        nearest = proxy
        for hop in b",".join(fields).decode("latin-1").rsplit(",", _MOST_HOPS)[::-1]:
            address = _parse(_without_port(hop.strip()))
            if address is None:
                # Not written by a proxy of ours: whoever is on this side of it counts.
                return nearest
            if not self._trusts(address):
                return address
            nearest = address
        return nearest


def _parse(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop
