"""What tests of erasures have in common: an account that has one of everything, and whether it is dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.docstore.store import Delete, Document, Insert
from libs.runtime.errors import NotFoundError, UnauthenticatedError
from services.accounts.domain.model import Account, CredentialKind, Role
from services.accounts.domain.registration import SignUp
from services.accounts.repository.accounts import ACCOUNTS
from services.accounts.repository.claims import ADDRESSES
from tests.unit.accounts.support import Platform

ADA = "ada@sealpost.test"
TARGET = "copies@mail.example"


async def settle_in(platform: Platform, account: Account) -> tuple[str, str, str]:
    """Give an account one of everything; return a session, an API key and an app password."""
    graph = platform.graph
    token, _ = await graph.signed_in.start(account)
    key = await graph.programs.create(account.account_id, CredentialKind.API_KEY, "laptop", ["mail:read"])
    word = await graph.programs.create(account.account_id, CredentialKind.APP_PASSWORD, "phone", ["smtp:send"])
    added = await graph.forwards.add(account, TARGET)
    await graph.forwards.confirm(added.token)
    await graph.staff.grant(ADA, Role.OPERATOR)
    await platform.published()
    return token, key.secret, word.secret


async def is_dead(platform: Platform, wish: SignUp, proofs: tuple[str, str, str]) -> bool:
    """Tell whether nothing works that would need the account."""
    graph, (token, key, word) = platform.graph, proofs
    assert wish.recovery is not None
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: graph.signed_in.authenticate(token),
        lambda: graph.programs.by_api_key(key),
        lambda: graph.programs.by_app_password(ADA, word),
        lambda: graph.access.sign_in(ADA, wish.authentication_key),
        lambda: graph.access.start_recovery(ADA, wish.recovery.authentication_key if wish.recovery else b""),
        lambda: graph.programs.create(wish.account_id, CredentialKind.API_KEY, "late", ["mail:read"]),
        lambda: graph.access.prove(wish.account_id, wish.authentication_key),
        lambda: graph.erasures.request(wish.account_id),
        lambda: graph.staff.grant(ADA, Role.SUPPORT),
    ]
    failed = 0
    for attempt in attempts:
        try:
            await attempt()
        except (UnauthenticatedError, NotFoundError):
            failed += 1
    return failed == len(attempts)


@dataclass
class Backup:
    """Documents of an account as they stood."""

    account: Document
    claim: Document

    async def restore(self, platform: Platform, *, claim: bool) -> None:
        """Bring the account back, and the claim on its address if told so."""
        store = platform.store.inner
        await store.write(Insert(ACCOUNTS, self.account.key, self.account.body))
        if claim:
            await store.write(Delete(ADDRESSES, self.claim.key))
            await store.write(Insert(ADDRESSES, self.claim.key, self.claim.body))


async def back_up(platform: Platform, account: Account) -> Backup:
    """Copy what there is of an account."""
    documents = [
        await platform.store.inner.get(ACCOUNTS, account.account_id),
        await platform.store.inner.get(ADDRESSES, account.address_key),
    ]
    kept, claim = documents
    assert kept is not None and claim is not None
    return Backup(kept, claim)
