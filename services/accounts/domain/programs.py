"""The life of API keys and app passwords, see domain.credentials for their form.

A program has the scopes of its credential and never a role of its owner: what staff may do, they do signed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, NotFoundError, UnauthenticatedError
from libs.runtime.ids import new_id
from services.accounts.domain import credentials
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.addresses import parse_address
from services.accounts.domain.attempts import Attempts
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Credential, CredentialKind, Principal
from services.accounts.domain.ports import Kept
from services.accounts.domain.vault import address_key

_DAY = 86400
# How many rivals may take the slot that we had in mind before we give up.
_TRIES = 5


@dataclass(frozen=True)
class ProgramRules:
    """`attempts` counts wrong app passwords for each address; `terms` are those of accounts."""

    attempts: Attempts
    terms: AccountTerms


@dataclass(frozen=True)
class Created:
    """A new credential, its label in clear, and its secret, shown this once."""

    credential: Credential
    label: str
    secret: str


class Programs:
    """Makes, lists, checks and revokes what programs show."""

    def __init__(self, keys: Keys, kept: Kept, rules: ProgramRules, clock: Clock) -> None:
        """Work on what is kept."""
        self._keys = keys
        self._kept = kept
        self._attempts = rules.attempts
        self._terms = rules.terms
        self._clock = clock

    async def create(self, account_id: str, kind: CredentialKind, label: str, scopes: Sequence[str]) -> Created:
        """Return a new credential and its secret, which nobody can show again.

        Raises: InvalidError("label" | "scopes"), NotFoundError("account_not_found"),
        ExhaustedError("too_many_credentials") at 50.
        """
        label, chosen = credentials.check_label(label), credentials.check_scopes(kind, scopes)
        account = await self._account(account_id)
        for _ in range(_TRIES):
            taken = {other.slot for other in await self._kept.credentials.of_account(account_id)}
            free = next((slot for slot in range(credentials.MAX_CREDENTIALS) if slot not in taken), None)
            if free is None:
                raise ExhaustedError("too_many_credentials")
            credential, secret = self._new(account, kind, label, chosen, free)
            try:
                await self._kept.credentials.insert(credential)
            except ConflictError:
                continue
            await self._unless_gone(account_id, credential)
            return Created(credential, label, secret)
        raise ConflictError("account_changed")

    async def list(self, account_id: str) -> list[tuple[Credential, str]]:
        """Return the credentials of an account with their labels opened.

        Raises: NotFoundError("account_not_found"), InternalError("account_damaged").
        """
        account = await self._account(account_id)
        kept = await self._kept.credentials.of_account(account_id)
        return [(credential, self._keys.vault.label(account, credential)) for credential in kept]

    async def revoke(self, account_id: str, credential_id: str) -> None:
        """Delete a credential of this account; NotFoundError("credential_not_found") for anybody else's."""
        for credential in await self._kept.credentials.of_account(account_id):
            if credential.credential_id == credential_id:
                await self._kept.credentials.delete_many([credential.key])
                return
        raise NotFoundError("credential_not_found")

    async def by_api_key(self, secret: str) -> Principal:
        """Return who holds this API key; UnauthenticatedError("credential_invalid") if nobody."""
        principal = await self._find(credentials.api_key_digest(self._keys.hashes, secret))
        if principal is None:
            raise UnauthenticatedError("credential_invalid")
        return principal

    async def by_app_password(self, text: str, secret: str) -> Principal:
        """Return who has this address and this app password.

        Raises: UnauthenticatedError("credential_invalid"), ExhaustedError("too_many_attempts"),
        InvalidError("address_invalid").
        """
        key = address_key(self._keys.hashes, parse_address(text).base)
        with self._attempts.attempt(key, secret.encode()):
            principal = await self._find(credentials.app_password_digest(self._keys.hashes, secret), key)
            if principal is None:
                raise UnauthenticatedError("credential_invalid")
        return principal

    async def _find(self, digest: str, key: str | None = None) -> Principal | None:
        """Return the holder, None if there is none or, where an address key is given, it is not his."""
        credential = await self._kept.credentials.get(digest)
        account = await self._kept.accounts.get(credential.account_id) if credential else None
        if credential is None or account is None or (key is not None and account.address_key != key):
            return None
        return Principal(
            account_id=account.account_id,
            mailbox_id=account.mailbox_id,
            profile=account.profile,
            roles=(),
            scopes=credential.scopes,
            proof_id=credential.credential_id,
            terms=self._terms.version(account.standing),
        )

    async def _unless_gone(self, account_id: str, credential: Credential) -> None:
        """Take back what was made while an erasure began: it has passed by already, or will."""
        if await self._kept.accounts.get(account_id) is None:
            await self._kept.credentials.delete_many([credential.key])
            raise NotFoundError("account_not_found")

    async def _account(self, account_id: str) -> Account:
        account = await self._kept.accounts.get(account_id)
        if account is None:
            raise NotFoundError("account_not_found")
        return account

    def _new(
        self, account: Account, kind: CredentialKind, label: str, scopes: tuple[str, ...], slot: int
    ) -> tuple[Credential, str]:
        secret, prefix = credentials.new_secret(kind)
        digest = credentials.api_key_digest if kind is CredentialKind.API_KEY else credentials.app_password_digest
        credential_id, now = new_id(), unix_seconds(self._clock)
        credential = Credential(
            key=digest(self._keys.hashes, secret),
            credential_id=credential_id,
            account_id=account.account_id,
            kind=kind,
            scopes=scopes,
            prefix=prefix,
            label=self._keys.vault.seal_label(account, credential_id, label),
            created_day=now // _DAY,
            slot=slot,
        )
        return credential, secret
