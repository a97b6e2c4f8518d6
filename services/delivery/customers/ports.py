"""What the customers' side asks of the world: of accounts and crypto, of the DNS, of HTTPS servers.

What it asks of the queue, and the queue of it, stands in services.delivery.domain.ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.net.http import Fetched
from services.delivery.domain.model import Profile


@dataclass(frozen=True, slots=True)
class ServedDomain:
    """A domain of this installation; `sends` where people have addresses that they send with."""

    name: str
    sends: bool


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What limits depend on; the day is counted from 1970-01-01, UTC."""

    profile: Profile
    created_day: int


class Accounts(Protocol):
    """Of the service accounts."""

    async def facts(self, account_id: str) -> AccountFacts:
        """Return what is known of an account. Raises: NotFoundError("account_not_found"), UnavailableError."""

    async def served(self) -> Sequence[ServedDomain]:
        """Return the domains served here. Raises: UnavailableError."""


@dataclass(frozen=True, slots=True)
class DkimRecord:
    """The TXT record at <selector>._domainkey.<domain>."""

    selector: str
    record: str


class DkimKeys(Protocol):
    """Of the service crypto."""

    async def ensure(self, domain: str) -> Sequence[DkimRecord]:
        """Return the records of a domain's keys, made now if there are none. Raises: SealpostError."""

    async def delete(self, domain: str) -> None:
        """Delete a domain's keys; absent is fine. Raises: SealpostError."""


class Dns(Protocol):
    """What is published."""

    async def txt(self, name: str) -> Sequence[str]:
        """Return the TXT records of a name, strings joined; none if there are none. Raises: UnavailableError."""

    async def mx(self, name: str) -> Sequence[str]:
        """Return the hosts of a name's MX records, lower case, no dot at the end. Raises: UnavailableError."""


class Http(Protocol):
    """libs.net.http.GuardedHttp."""

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        max_bytes: int = 65536,
        seconds: float = 10.0,
    ) -> Fetched:
        """Return the answer, whatever its status. Raises: InvalidError, UnavailableError."""
