"""MTA-STS policies that outlive a restart: forgetting one opens the way for who takes TLS away (RFC 8461 10.2).

Policies are public; which domains people here write to is not. So a document stands under a keyed hash of the domain,
sealed, filled up to a round length and with nothing but days in clear, for length and life of a policy would tell whose
it is. The number of documents is bounded in buckets of the hash: a new policy in a full one takes the place of the one
that was fetched longest ago, and as policies in use are fetched daily, that is the one needed least.
"""

from __future__ import annotations

import asyncio
import json

from libs.docstore.fields import blob, delete_quietly, number, text, texts
from libs.docstore.store import Body, Collection, Document, Index, Insert, Patch, Query, Store
from libs.envelope import KeyedHash, Vault, place_of
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, InvalidError
from libs.telemetry.logs import get_logger
from services.delivery.transport.sts import Policy

# key = keyed hash of the domain: {bucket: its first two digits, fetched, expires: days of 1970 UTC, policy: sealed}
POLICIES = Collection(
    "policy",
    (Index("fetched", ("bucket", "fetched")), Index("expires", ("expires",))),
    fields=("bucket", "fetched", "expires", "policy"),
)

CAPACITY = 65_536
_BUCKETS = 256
_DAY = 86_400
_STEP = 1024
# Ten times what anybody publishes: 65,536 documents of strangers are at most 1 GiB.
_MAX_BYTES = 16_384

_encode = json.JSONEncoder(separators=(",", ":")).encode
_log = get_logger("policies")


class KeptPolicies:
    """Implements transport.sts.PolicyStore."""

    def __init__(
        self, store: Store, hashes: KeyedHash, vault: Vault, clock: Clock, *, capacity: int = CAPACITY
    ) -> None:
        """Keep about `capacity` policies in `store`, opened with POLICIES among others."""
        self._store = store
        self._hashes = hashes
        self._vault = vault
        self._clock = clock
        self._per_bucket = max(1, capacity // _BUCKETS)
        self._making_room = asyncio.Lock()

    async def load(self, domain: str) -> Policy | None:
        """Return what was saved last and has not expired; what is damaged is as good as nothing.

        Raises: UnavailableError.
        """
        key = self._key(domain)
        found = await self._store.get(POLICIES, key)
        if found is None:
            return None
        try:
            policy = self._open(found)
        except InternalError as error:
            # It is fetched anew with the next mail, and put in its place.
            _log.warning("policy_damaged", error=error)
            return None
        return policy if policy.expires > unix_seconds(self._clock) else None

    async def save(self, domain: str, policy: Policy) -> None:
        """Keep it until it expires.

        Raises: UnavailableError, ExhaustedError, InvalidError("too_large") for one of more than 16 KiB.
        """
        key = self._key(domain)
        body = self._body(key, policy)
        try:
            await self._store.write(Insert(POLICIES, key, body))
        except ConflictError:
            await self._store.write(Patch(POLICIES, key, body))
        else:
            await self._make_room(key)

    async def _make_room(self, new: str) -> None:
        most = self._per_bucket
        # One after the other: two that count at once would both make room for both.
        async with self._making_room:
            found = await self._store.find(Query(POLICIES, "fetched", (_bucket(new),), limit=min(most + 10, 1000)))
            older = [document.key for document in found if document.key != new]
            await delete_quietly(self._store, POLICIES, older[: max(0, len(found) - most)])

    def _key(self, domain: str) -> str:
        return self._hashes.digest("delivery/policy", domain.encode()).hex()

    def _body(self, key: str, policy: Policy) -> Body:
        content = _encode(
            {
                "mode": policy.mode,
                "hosts": list(policy.hosts),
                "id": policy.policy_id,
                "fetched": policy.fetched,
                "expires": policy.expires,
            }
        ).encode()
        if len(content) > _MAX_BYTES:
            raise InvalidError("too_large")
        padded = content.ljust(-(-len(content) // _STEP) * _STEP)
        return {
            "bucket": _bucket(key),
            "fetched": policy.fetched // _DAY,
            "expires": -(-policy.expires // _DAY),
            "policy": self._vault.seal(_place(key), padded),
        }

    def _open(self, document: Document) -> Policy:
        content = self._vault.open(_place(document.key), blob(document.body, "policy"))
        try:
            read = json.loads(content)
        except ValueError as error:
            raise InternalError("document_damaged") from error
        if not isinstance(read, dict):
            raise InternalError("document_damaged")
        return Policy(
            mode=text(read, "mode"),
            hosts=texts(read, "hosts"),
            policy_id=text(read, "id"),
            fetched=number(read, "fetched"),
            expires=number(read, "expires"),
        )


def _bucket(key: str) -> str:
    return key[:2]


def _place(key: str) -> str:
    return place_of(POLICIES.name, key, "policy")
