"""Accounts, by id. Kept in plain: derivation parameters, verifiers, keys wrapped by their owner, roles, numbers.

One document goes through three states: an account; an account whose erasure has begun (`erasing` is 1), which is none
any more for whoever asks here; and what is left when its keys are destroyed (`erasing` is 2), see erasures.
"""

from __future__ import annotations

from libs.docstore.fields import blob, choice, nested, number, text, texts
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Patch, Query, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.model import Account, Erasure, Kdf, Profile, Recovery, Role, Verifier
from services.accounts.domain.ports import PasswordChange
from services.accounts.repository.role_events import role_events
from services.accounts.repository.standings import (
    STANDING_FIELDS,
    STANDING_INDEXES,
    decode_standing,
    encode_standing,
)

ERASURE_FIELDS = ("erase_asked", "erase_due", "erase_receipt", "erasing")
# `claim_due` is there only until the address is claimed, what concerns an erasure only once one is asked for.
ACCOUNTS = Collection(
    "accounts",
    (
        Index("claim_due", ("claim_due",)),
        Index("erase_due", ("erase_due",)),
        Index("erasing", ("erasing",)),
        *STANDING_INDEXES,
    ),
    fields=(
        "mailbox_id",
        "profile",
        "address_key",
        "data_key",
        "identity",
        "kdf",
        "verifier",
        "wrapped_private_key",
        "recovery",
        "created_day",
        "roles",
        "epoch",
        "claim_due",
        *ERASURE_FIELDS,
        *STANDING_FIELDS,
    ),
)


class AccountRepository:
    """Implements domain.ports.AccountsPort."""

    def __init__(self, store: Store) -> None:
        """Keep accounts in `store`."""
        self._store = store

    async def insert(self, account: Account, claim_due: int) -> None:
        """See AccountsPort."""
        try:
            await self._store.write(Insert(ACCOUNTS, account.account_id, _encode(account, claim_due)))
        except ConflictError as error:
            raise ConflictError("account_exists") from error

    async def get(self, account_id: str) -> Account | None:
        """See AccountsPort."""
        document = await self._store.get(ACCOUNTS, account_id)
        return _decode(document) if document and not document.body.get("erasing") else None

    async def exists(self, account_id: str) -> bool:
        """See AccountsPort."""
        return await self._store.get(ACCOUNTS, account_id) is not None

    async def settle(self, account_id: str) -> None:
        """See AccountsPort."""
        document = await self._store.get(ACCOUNTS, account_id)
        if document is None or document.body.get("claim_due") is not None:
            await self._patch(Patch(ACCOUNTS, account_id, {"claim_due": None}))

    async def unsettled(self, due: int, limit: int) -> list[Account]:
        """See AccountsPort."""
        found = await self._store.find(Query(ACCOUNTS, "claim_due", upper=due, limit=limit))
        return [_decode(document) for document in found]

    async def change_password(self, account: Account, change: PasswordChange) -> Account:
        """See AccountsPort."""
        fields: dict[str, Value] = {
            "kdf": _encode_kdf(change.kdf),
            "verifier": _encode_verifier(change.verifier),
            "wrapped_private_key": change.wrapped_private_key,
            "epoch": account.epoch + 1,
        }
        await self._patch(Patch(ACCOUNTS, account.account_id, fields, account.version))
        changed = await self.get(account.account_id)
        if changed is None:
            raise NotFoundError("account_not_found")
        return changed

    async def set_recovery(self, account: Account, recovery: Recovery | None) -> None:
        """See AccountsPort."""
        fields: dict[str, Value] = {"recovery": _encode_recovery(recovery)}
        await self._patch(Patch(ACCOUNTS, account.account_id, fields, account.version))

    async def set_roles(self, account: Account, roles: tuple[Role, ...]) -> None:
        """See AccountsPort."""
        fields: dict[str, Value] = {"roles": [role.value for role in roles]}
        events = role_events(account.roles, roles)
        await self._patch(Patch(ACCOUNTS, account.account_id, fields, account.version, events))

    async def new_epoch(self, account: Account) -> None:
        """See AccountsPort."""
        await self._patch(Patch(ACCOUNTS, account.account_id, {"epoch": account.epoch + 1}, account.version))

    async def delete(self, account_id: str, version: int | None = None) -> bool:
        """See AccountsPort."""
        try:
            await self._store.write(Delete(ACCOUNTS, account_id, version))
        except (NotFoundError, ConflictError):
            return False
        return True

    async def _patch(self, patch: Patch) -> None:
        try:
            await self._store.write(patch)
        except NotFoundError as error:
            raise NotFoundError("account_not_found") from error
        except ConflictError as error:
            raise ConflictError("account_changed") from error


def _encode(account: Account, claim_due: int) -> Body:
    return {
        "mailbox_id": account.mailbox_id,
        "profile": account.profile.value,
        "address_key": account.address_key,
        "data_key": account.data_key,
        "identity": account.identity,
        "kdf": _encode_kdf(account.kdf),
        "verifier": _encode_verifier(account.verifier),
        "wrapped_private_key": account.wrapped_private_key,
        "recovery": _encode_recovery(account.recovery),
        "created_day": account.created_day,
        "roles": [role.value for role in account.roles],
        "epoch": account.epoch,
        "claim_due": claim_due,
        **encode_standing(account.standing),
    }


def _decode(document: Document) -> Account:
    body = document.body
    kdf = nested(body, "kdf")
    recovery = nested(body, "recovery") if body.get("recovery") is not None else None
    return Account(
        account_id=document.key,
        mailbox_id=text(body, "mailbox_id"),
        profile=choice(Profile, text(body, "profile")),
        address_key=text(body, "address_key"),
        data_key=blob(body, "data_key"),
        identity=blob(body, "identity"),
        kdf=Kdf(
            salt=blob(kdf, "salt"),
            memory_kib=number(kdf, "memory_kib"),
            iterations=number(kdf, "iterations"),
            parallelism=number(kdf, "parallelism"),
        ),
        verifier=_decode_verifier(nested(body, "verifier")),
        wrapped_private_key=blob(body, "wrapped_private_key"),
        recovery=_decode_recovery(recovery) if recovery is not None else None,
        created_day=number(body, "created_day"),
        roles=tuple(choice(Role, role) for role in texts(body, "roles")),
        epoch=number(body, "epoch"),
        version=document.version,
        standing=decode_standing(body),
        erasure=decode_erasure(body),
    )


def decode_erasure(body: Body) -> Erasure | None:
    """Return the erasure that was asked for."""
    if body.get("erase_due") is None:
        return None
    return Erasure(number(body, "erase_asked"), number(body, "erase_due"), blob(body, "erase_receipt"))


def _encode_kdf(kdf: Kdf) -> dict[str, Value]:
    return {
        "salt": kdf.salt,
        "memory_kib": kdf.memory_kib,
        "iterations": kdf.iterations,
        "parallelism": kdf.parallelism,
    }


def _encode_verifier(verifier: Verifier) -> dict[str, Value]:
    return {"salt": verifier.salt, "digest": verifier.digest}


def _decode_verifier(body: Body) -> Verifier:
    return Verifier(blob(body, "salt"), blob(body, "digest"))


def _decode_recovery(body: Body) -> Recovery:
    return Recovery(_decode_verifier(nested(body, "verifier")), blob(body, "wrapped_private_key"))


def _encode_recovery(recovery: Recovery | None) -> dict[str, Value] | None:
    if recovery is None:
        return None
    return {
        "verifier": _encode_verifier(recovery.verifier),
        "wrapped_private_key": recovery.wrapped_private_key,
    }
