"""Which destination a hash in a document stands for, as far as this process has met it."""

from __future__ import annotations

from collections import OrderedDict

from services.delivery.queue.codec import Hashes

_CAPACITY = 50_000


class Names:
    """Hashes destinations and remembers the way back."""

    def __init__(self, hashes: Hashes) -> None:
        """Begin knowing none."""
        self._hashes = hashes
        self._domains: OrderedDict[bytes, str] = OrderedDict()

    def hash(self, domain: str) -> bytes:
        """Return what stands for a domain."""
        hashed = self._hashes.destination(domain)
        if hashed not in self._domains and len(self._domains) >= _CAPACITY:
            self._domains.popitem(last=False)
        self._domains[hashed] = domain
        return hashed

    def only(self, destinations: object) -> str:
        """Return the domain that a document's list of destinations names, "" unless it is one, and known."""
        if isinstance(destinations, list) and len(destinations) == 1 and isinstance(destinations[0], bytes):
            return self._domains.get(destinations[0], "")
        return ""
