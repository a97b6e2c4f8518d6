"""Who has which address. The key is the keyed hash of the canonical address, which makes a claim unique."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import choice, text
from libs.docstore.store import Collection, Delete, Document, Index, Insert, Patch, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.model import Claim, Profile, State

# `release_due` is there only once the claim is closed.
ADDRESSES = Collection("addresses", (Index("release_due", ("release_due",)),))


class ClaimRepository:
    """Implements domain.ports.ClaimsPort."""

    def __init__(self, store: Store) -> None:
        """Keep claims in `store`."""
        self._store = store

    async def insert(self, claim: Claim) -> None:
        """See ClaimsPort."""
        body = {
            "account_id": claim.account_id,
            "mailbox_id": claim.mailbox_id,
            "profile": claim.profile.value,
            "state": claim.state.value,
        }
        try:
            await self._store.write(Insert(ADDRESSES, claim.address_key, body))
        except ConflictError as error:
            raise ConflictError("address_taken") from error

    async def get_many(self, address_keys: Sequence[str]) -> dict[str, Claim]:
        """See ClaimsPort."""
        found = await self._store.get_many(ADDRESSES, address_keys)
        return {key: _decode(document) for key, document in found.items()}

    async def put_forwards(self, claim: Claim) -> None:
        """See ClaimsPort."""
        fields: dict[str, Value] = {"forwards": claim.forwards}
        try:
            await self._store.write(Patch(ADDRESSES, claim.address_key, fields, claim.version))
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("account_changed") from error

    async def close(self, claim: Claim, release_due: int) -> None:
        """See ClaimsPort."""
        fields: dict[str, Value] = {"state": State.CLOSED.value, "release_due": release_due}
        try:
            await self._store.write(Patch(ADDRESSES, claim.address_key, fields, claim.version))
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("account_changed") from error

    async def release(self, claim: Claim) -> None:
        """See ClaimsPort."""
        document = await self._store.get(ADDRESSES, claim.address_key)
        if document is None or _decode(document) != claim:
            return
        try:
            await self._store.write(Delete(ADDRESSES, claim.address_key, claim.version))
        except (ConflictError, NotFoundError):
            # Somebody was faster; what is there now is not this claim.
            return

    async def release_closed(self, due: int, limit: int) -> int:
        """See ClaimsPort."""
        return await self._store.delete_range(ADDRESSES, "release_due", (), due, limit)


def _decode(document: Document) -> Claim:
    body = document.body
    return Claim(
        address_key=document.key,
        account_id=text(body, "account_id"),
        mailbox_id=text(body, "mailbox_id"),
        profile=choice(Profile, text(body, "profile")),
        state=choice(State, text(body, "state")),
        forwards=body.get("forwards") is True,
        version=document.version,
    )
