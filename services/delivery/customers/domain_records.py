"""What is kept of sender domains: claims of accounts, and who of them has proved his.

sender_domain   key = mark of the account / mark of the domain; what the account sees. The name itself is sealed.
domain_owner    key = mark of the domain; the one account that sends with it
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.docstore.fields import blob, delete_quietly, number, text, texts
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Patch, Query, Replace, Store
from libs.envelope import Vault, place_of
from libs.runtime.errors import InternalError, NotFoundError
from services.delivery.customers.marks import Marks
from services.delivery.customers.ports import DkimRecord
from services.delivery.domain.sender_domains import RecordState

SENDER_DOMAINS = Collection(
    "sender_domain",
    (Index("account", ("account", "added")), Index("domain", ("domain", "added")), Index("recheck", ("recheck",))),
    fields=("account", "domain", "sealed", "added", "verified", "failing", "states", "checked_at", "recheck"),
)
OWNERS = Collection("domain_owner", fields=("account",))


@dataclass(frozen=True, slots=True)
class Claim:
    """A domain, as one account has named it. `account` is its mark; times are Unix seconds, 0 for never."""

    account: str
    domain: str
    dkim: Sequence[DkimRecord]
    added: int
    verified: bool = False
    # Daily looks in a row that did not find what they should; DNS that does not answer is not one.
    failing: int = 0
    states: Sequence[RecordState] = ()
    checked_at: int = 0
    recheck: int = 0
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who sends with a domain, by mark."""

    account: str
    version: int


class DomainRecords:
    """Claims and owners on a store."""

    def __init__(self, store: Store, marks: Marks, vault: Vault) -> None:
        """Use `store`, opened with SENDER_DOMAINS and OWNERS."""
        self._store = store
        self._marks = marks
        self._vault = vault

    async def get(self, account: str, domain: str) -> Claim | None:
        """Return the claim of an account (by mark) on a domain, if it has one."""
        found = await self._store.get(SENDER_DOMAINS, self._key(account, domain))
        return self.decode(found) if found is not None else None

    async def of_account(self, account: str, limit: int) -> list[Claim]:
        """Return at most `limit` claims of an account, in the order in which they were made."""
        found = await self._store.find(Query(SENDER_DOMAINS, "account", (account,), limit=limit))
        return [self.decode(document) for document in found]

    async def is_wanted(self, domain: str, *, besides: str = "") -> bool:
        """Tell whether any account has a claim on a domain, or any `besides` that of this mark."""
        query = Query(SENDER_DOMAINS, "domain", (self._marks.domain(domain),), limit=2)
        return any(document.body.get("account") != besides for document in await self._store.find(query))

    async def due(self, now: int, limit: int) -> list[Claim]:
        """Return at most `limit` claims that have to be looked at again, the most overdue first."""
        found = await self._store.find(Query(SENDER_DOMAINS, "recheck", (), upper=now, limit=limit))
        return [self.decode(document) for document in found]

    async def insert(self, claim: Claim) -> None:
        """Keep a new claim. Raises: ConflictError("exists")."""
        await self._store.write(Insert(SENDER_DOMAINS, self._key(claim.account, claim.domain), self._body(claim)))

    async def replace(self, claim: Claim) -> int:
        """Put a claim in place of its version; return the new one. Raises: ConflictError, NotFoundError."""
        key = self._key(claim.account, claim.domain)
        return (await self._store.write(Replace(SENDER_DOMAINS, key, self._body(claim), claim.version))).version

    async def postpone(self, claim: Claim, recheck: int) -> int:
        """Have a claim looked at later; return its new version. Raises: ConflictError, NotFoundError."""
        key = self._key(claim.account, claim.domain)
        patch = Patch(SENDER_DOMAINS, key, {"recheck": recheck or None}, claim.version)
        return (await self._store.write(patch)).version

    async def disprove(self, account: str, domain: str) -> None:
        """Take away that an account has proved its claim; absent is fine."""
        try:
            await self._store.write(Patch(SENDER_DOMAINS, self._key(account, domain), {"verified": False}))
        except NotFoundError:
            return

    async def delete(self, account: str, domain: str) -> None:
        """Remove a claim; absent is fine."""
        await delete_quietly(self._store, SENDER_DOMAINS, [self._key(account, domain)])

    async def owner(self, domain: str) -> Owner | None:
        """Return who has proved that a domain is his."""
        found = await self._store.get(OWNERS, self._marks.domain(domain))
        return Owner(text(found.body, "account"), found.version) if found is not None else None

    async def take(self, domain: str, account: str, instead_of: Owner | None) -> None:
        """Make an account the owner. Raises: ConflictError where somebody else was faster, NotFoundError."""
        key, body = self._marks.domain(domain), {"account": account}
        if instead_of is None:
            await self._store.write(Insert(OWNERS, key, body))
        else:
            await self._store.write(Replace(OWNERS, key, body, instead_of.version))

    async def release(self, domain: str, owner: Owner) -> None:
        """Make a domain nobody's, if it is still `owner`'s. Raises: ConflictError, NotFoundError."""
        await self._store.write(Delete(OWNERS, self._marks.domain(domain), owner.version))

    def _key(self, account: str, domain: str) -> str:
        return f"{account}/{self._marks.domain(domain)}"

    def _body(self, claim: Claim) -> Body:
        key = self._key(claim.account, claim.domain)
        content = {"domain": claim.domain, "dkim": [[one.selector, one.record] for one in claim.dkim]}
        sealed = self._vault.seal(place_of(SENDER_DOMAINS.name, key, "sealed"), json.dumps(content).encode())
        return {
            "account": claim.account,
            "domain": self._marks.domain(claim.domain),
            "sealed": sealed,
            "added": claim.added,
            "verified": claim.verified,
            "failing": claim.failing,
            "states": [state.value for state in claim.states],
            "checked_at": claim.checked_at,
            "recheck": claim.recheck or None,
        }

    def decode(self, document: Document) -> Claim:
        """Return what a document holds. Raises: InternalError, UnavailableError("kek_missing")."""
        body = document.body
        place = place_of(SENDER_DOMAINS.name, document.key, "sealed")
        content = json.loads(self._vault.open(place, blob(body, "sealed")))
        try:
            states = tuple(RecordState(state) for state in texts(body, "states"))
        except ValueError as error:
            raise InternalError("document_damaged") from error
        return Claim(
            account=text(body, "account"),
            domain=content["domain"],
            dkim=tuple(DkimRecord(selector, record) for selector, record in content["dkim"]),
            added=number(body, "added"),
            verified=body.get("verified") is True,
            failing=number(body, "failing"),
            states=states,
            checked_at=number(body, "checked_at"),
            recheck=number(body, "recheck", 0),
            version=document.version,
        )
