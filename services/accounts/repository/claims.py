"""Who has which address. The key is the keyed hash of the canonical address, which makes a claim unique."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import choice, number, text
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Patch, Replace, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.model import Claim, Profile, Role, State
from services.accounts.repository.role_events import role_events

# `release_due` is there only once the claim is closed, and with `state` all there is once its owner is erased.
ADDRESSES = Collection(
    "addresses",
    (Index("release_due", ("release_due",)),),
    fields=("account_id", "mailbox_id", "profile", "state", "forwards", "keeps_terms", "release_due"),
)


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
        await self._change(Patch(ADDRESSES, claim.address_key, {"forwards": claim.forwards}, claim.version))

    async def keep_terms(self, claim: Claim) -> None:
        """See ClaimsPort."""
        await self._change(Patch(ADDRESSES, claim.address_key, {"keeps_terms": True}, claim.version))

    async def close(self, claim: Claim, release_due: int, lost: tuple[Role, ...] = ()) -> None:
        """See ClaimsPort."""
        fields: dict[str, Value] = {
            "state": State.CLOSED.value,
            "release_due": release_due,
            "forwards": None,
            "keeps_terms": None,
        }
        await self._change(Patch(ADDRESSES, claim.address_key, fields, claim.version, role_events(lost, ())))

    async def forget_owner(self, claim: Claim) -> bool:
        """See ClaimsPort."""
        document = await self._store.get(ADDRESSES, claim.address_key)
        if document is None or document.body.get("account_id") != claim.account_id:
            return False
        body: Body = {"state": State.CLOSED.value, "release_due": number(document.body, "release_due")}
        await self._change(Replace(ADDRESSES, claim.address_key, body, document.version))
        return True

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

    async def _change(self, write: Patch | Replace) -> None:
        try:
            await self._store.write(write)
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("account_changed") from error


def _decode(document: Document) -> Claim:
    body = document.body
    state = choice(State, text(body, "state"))
    if body.get("account_id") is None:
        return Claim(document.key, "", "", Profile.SEALED, state, version=document.version)
    return Claim(
        address_key=document.key,
        account_id=text(body, "account_id"),
        mailbox_id=text(body, "mailbox_id"),
        profile=choice(Profile, text(body, "profile")),
        state=state,
        forwards=body.get("forwards") is True,
        keeps_terms=body.get("keeps_terms") is True,
        version=document.version,
    )
