"""Where mail for an address goes. The hot path: one batched look-up by key for up to 100 addresses, no state.

Addresses of members and of relay accounts are claims, found by keyed hash; a sub-address (`user+tag`) is delivered to
`user`. A public inbox is kept nowhere: its mailbox id is a keyed hash of the canonical address, so any address is its
own inbox, `+tag` included.

RFC 5321 4.5.1 wants `postmaster` accepted at every domain, RFC 2142 `abuse` and others. They lead to the operator's
mailbox, which is the one that the settings name or else that of the first holder of the role `operator`. As long as
there is neither, these names are unknown: nobody could read what is accepted. They are never public inboxes, for
whoever reads `admin@` of a domain can have a certificate for it.

The terms of an account are those of the version in force, unless its claim says that its owner may have kept others:
only then is the account looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from libs.envelope import KeyedHash
from libs.runtime.errors import InvalidError
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.addresses import Address, parse_address
from services.accounts.domain.domains import Domains, is_role_address
from services.accounts.domain.model import Claim, Limits, Profile, Role, State
from services.accounts.domain.ports import Kept
from services.accounts.domain.vault import address_key, public_mailbox_id

MAX_ADDRESSES = 100

_NO_LIMITS = Limits()


class Status(StrEnum):
    """Whether mail for an address is taken; see the Route message."""

    OK = "ok"
    NOT_OURS = "not_ours"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    INVALID = "invalid"


@dataclass(frozen=True)
class Route:
    """Where mail for one address goes; `address` in its canonical form, empty if it is none."""

    status: Status
    domain: str = ""
    profile: Profile | None = None
    mailbox_id: str = ""
    account_id: str = ""
    limits: Limits = _NO_LIMITS
    address: str = ""
    # Whether domain.forwards has addresses for the account.
    forwards: bool = False
    # The version of the policy whose terms hold for the mailbox.
    terms: int = 0


@dataclass(frozen=True)
class RouteRules:
    """The size of owned mailboxes and of public ones, the terms, and the canonical address of the operator's mail."""

    member: Limits
    public_quota_bytes: int
    terms: AccountTerms
    operator_mailbox: Address | None = None


class Directory:
    """Answers what ingest asks for each recipient."""

    def __init__(self, domains: Domains, hashes: KeyedHash, rules: RouteRules, kept: Kept) -> None:
        """Resolve addresses of `domains` under `rules`."""
        self._domains = domains
        self._hashes = hashes
        self._rules = rules
        self._kept = kept

    async def resolve(self, addresses: Sequence[str]) -> list[Route]:
        """Return the route of each address, in order.

        Raises: InvalidError("too_many_addresses") above 100.
        """
        if len(addresses) > MAX_ADDRESSES:
            raise InvalidError("too_many_addresses")
        parsed = [self._parse(text) for text in addresses]
        operator = ""
        if any(address is not None and self._is_for_operator(address) for address in parsed):
            operator = await self._operator_key()
        keys = [self._claim_key(address, operator) if address else "" for address in parsed]
        wanted = [key for key in dict.fromkeys(keys) if key]
        claims = await self._kept.claims.get_many(wanted) if wanted else {}
        routes = [
            replace(self._route(address, key, claims), address=address.text) if address else Route(Status.INVALID)
            for address, key in zip(parsed, keys, strict=True)
        ]
        if not any(claim.keeps_terms for claim in claims.values()):
            return routes
        terms = await self._kept_terms(claims)
        return [replace(route, terms=terms.get(route.account_id, route.terms)) for route in routes]

    def _parse(self, text: str) -> Address | None:
        if text.lower() == "postmaster":
            return Address("postmaster", self._domains.primary)
        try:
            return parse_address(text)
        except InvalidError:
            return None

    def _is_for_operator(self, address: Address) -> bool:
        return self._domains.find(address.domain) is not None and is_role_address(address)

    def _claim_key(self, address: Address, operator: str) -> str:
        """Return the key of the claim that decides, empty if none does."""
        domain = self._domains.find(address.domain)
        if domain is None:
            return ""
        if is_role_address(address):
            return operator
        return "" if domain.profile is Profile.PUBLIC else address_key(self._hashes, address.base)

    def _route(self, address: Address, key: str, claims: Mapping[str, Claim]) -> Route:
        domain = self._domains.find(address.domain)
        if domain is None:
            return Route(Status.NOT_OURS, address.domain)
        if domain.profile is Profile.PUBLIC and not is_role_address(address):
            mailbox_id = public_mailbox_id(self._hashes, address)
            return Route(
                Status.OK,
                domain.name,
                Profile.PUBLIC,
                mailbox_id,
                limits=self._public(),
                terms=self._rules.terms.active,
            )
        claim = claims.get(key)
        if claim is None:
            return Route(Status.UNKNOWN, domain.name)
        if claim.state is State.CLOSED:
            # It may not even say any more whose it was.
            return Route(Status.SUSPENDED, domain.name)
        return Route(
            Status.OK,
            domain.name,
            claim.profile,
            claim.mailbox_id,
            claim.account_id,
            self._rules.member,
            forwards=claim.forwards,
            terms=self._rules.terms.active,
        )

    def _public(self) -> Limits:
        # The newest few are kept and older ones make room, so a limit on their number would only refuse mail.
        return Limits(
            quota_bytes=self._rules.public_quota_bytes,
            keep_newest=self._rules.terms.rule("public_mail_newest"),
            retention_seconds=self._rules.terms.rule("public_mail_seconds"),
        )

    async def _kept_terms(self, claims: Mapping[str, Claim]) -> dict[str, int]:
        """Return the versions that hold for those accounts whose claim says that it may be another."""
        found = {}
        for claim in claims.values():
            if claim.keeps_terms and claim.state is State.ACTIVE:
                account = await self._kept.accounts.get(claim.account_id)
                if account is not None:
                    found[claim.account_id] = self._rules.terms.version(account.standing)
        return found

    async def _operator_key(self) -> str:
        if self._rules.operator_mailbox is not None:
            return address_key(self._hashes, self._rules.operator_mailbox.base)
        holders = await self._kept.grants.of_role(Role.OPERATOR, 1)
        return holders[0].address_key if holders else ""
