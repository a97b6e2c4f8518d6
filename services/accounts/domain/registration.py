"""Sign-up: an account and a claim on its address are two documents, and no transaction spans them.

The order is: (1) the account, marked with the moment until which its address is to be claimed; (2) the claim, keyed by
the address hash and holding the account id; (3) the mark is removed. The claim is the point of no return, since an
insert by key lets exactly one of two rivals have the address, and since everything that works - routing, signing in -
starts from the claim.

- A crash after (1) leaves an account that nobody can reach and an address that is free. The sweep deletes it when the
  mark is due.
- A crash after (2) leaves a complete account; the sweep, or the repeated sign-up, removes the mark.
- Claim first would be wrong: a crash would leave an address that belongs to an account which does not exist, blocked
  for ever, or a rule by which one sign-up may take another's address away, and that is a race.
- The sweep deletes an account only at the version that it read, after seeing that the claim is not its own. If a
  sign-up was asleep meanwhile and claims afterwards, step (3) finds no account and gives the claim back. Should it die
  just there, the claim points to nothing, and whoever wants that address next removes it.

A sign-up repeated with the same address, password proof and key material is answered as the first one was: it may be a
browser that never saw the answer. The caller may have made a new account id for it; the answer carries the one that
counts. Everybody else learns that the address is taken, which a sign-up cannot hide; these answers have a limit.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.ids import is_id, new_id
from libs.runtime.limits import KeyedLimiter
from services.accounts.domain import verifiers
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.addresses import Address, may_be_signed_up, parse_address
from services.accounts.domain.attempts import Attempts
from services.accounts.domain.domains import Domains, is_reserved
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Claim, Identity, Kdf, Profile, Recovery, State
from services.accounts.domain.notices import Notices
from services.accounts.domain.ports import Kept
from services.accounts.domain.vault import address_key
from services.accounts.domain.verifiers import Purpose

_DAY = 86400


@dataclass(frozen=True)
class NewRecovery:
    """A recovery code as the client announces it."""

    authentication_key: bytes
    wrapped_private_key: bytes

    def check(self) -> None:
        """Raise InvalidError("authentication_key" | "wrapped_private_key") unless both have their form."""
        verifiers.check_authentication_key(self.authentication_key)
        verifiers.check_wrapped_key(self.wrapped_private_key)

    def kept(self, maker: verifiers.Verifiers, account_id: str) -> Recovery:
        """Return what is kept of it."""
        verifier = maker.make(account_id, Purpose.RECOVERY, self.authentication_key)
        return Recovery(verifier, self.wrapped_private_key)


@dataclass(frozen=True)
class SignUp:
    """What somebody asks for."""

    account_id: str
    address: str
    kdf: Kdf
    authentication_key: bytes
    wrapped_private_key: bytes
    fingerprint: str
    recovery: NewRecovery | None


@dataclass(frozen=True)
class SignUpLimits:
    """`attempts` are those of signing in, `taken` has one key and counts answers, `terms` are those of accounts."""

    attempts: Attempts
    taken: KeyedLimiter
    terms: AccountTerms


class Registration:
    """Makes accounts."""

    def __init__(self, domains: Domains, keys: Keys, kept: Kept, limits: SignUpLimits, notices: Notices) -> None:
        """Make accounts at `domains`."""
        self._domains = domains
        self._keys = keys
        self._kept = kept
        self._attempts = limits.attempts
        self._taken = limits.taken
        self._terms = limits.terms
        self._notices = notices

    async def sign_up(self, wish: SignUp, clock: Clock) -> Account:
        """Return the new account, or the one that the same sign-up made before.

        Raises: InvalidError naming the field, DeniedError("domain_closed" | "address_reserved"),
        ConflictError("address_taken" | "account_exists"), ExhaustedError("sign_up_limit" | "too_many_attempts").
        """
        address, profile = self._checked(wish)
        key = address_key(self._keys.hashes, address)
        with self._counted():
            claim = await self._living_claim(key)
            if claim is not None:
                return await self._repeated(wish, claim)
            account = await self._place(wish, address, profile, clock)
            try:
                await self._kept.claims.insert(_claim_of(account))
            except ConflictError:
                return await self._lost_race(wish, account)
            return await self._settle(account)

    async def sweep(self, until: int, limit: int) -> tuple[int, int]:
        """Clear up after sign-ups that were to be finished by `until`; return how many were looked at, and deleted.

        At most `limit` are looked at. Nothing is deleted whose address is claimed.
        """
        waiting = await self._kept.accounts.unsettled(until, limit)
        deleted = 0
        for account in waiting:
            claim = (await self._kept.claims.get_many([account.address_key])).get(account.address_key)
            if claim is not None and claim.account_id == account.account_id:
                await self._kept.accounts.settle(account.account_id)
            else:
                deleted += await self._kept.accounts.delete(account.account_id, account.version)
        return len(waiting), deleted

    def _checked(self, wish: SignUp) -> tuple[Address, Profile]:
        if not is_id(wish.account_id):
            raise InvalidError("account_id")
        address = parse_address(wish.address)
        verifiers.check_kdf(wish.kdf)
        verifiers.check_authentication_key(wish.authentication_key)
        verifiers.check_wrapped_key(wish.wrapped_private_key)
        verifiers.check_fingerprint(wish.fingerprint)
        if wish.recovery is not None:
            wish.recovery.check()
        domain = self._domains.find(address.domain)
        if domain is None or not domain.open_for_sign_up:
            raise DeniedError("domain_closed")
        if is_reserved(address):
            raise DeniedError("address_reserved")
        if not may_be_signed_up(address):
            raise InvalidError("address_invalid")
        return address, domain.profile

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count before the look-up and give back unless the answer was "taken": the limit must not tell either."""
        wait = self._taken.allow("taken")
        if wait > 0:
            raise ExhaustedError("sign_up_limit", retry_after=wait)
        try:
            yield
        except ConflictError:
            raise
        except BaseException:
            self._taken.allow("taken", -1)
            raise
        else:
            self._taken.allow("taken", -1)

    async def _living_claim(self, key: str) -> Claim | None:
        """Return the claim on an address, after removing one whose account was swept away under it."""
        claim = (await self._kept.claims.get_many([key])).get(key)
        if claim is None or claim.state is State.CLOSED or await self._kept.accounts.exists(claim.account_id):
            return claim
        await self._kept.claims.release(claim)
        return None

    async def _repeated(self, wish: SignUp, claim: Claim) -> Account:
        account = None if claim.state is State.CLOSED else await self._kept.accounts.get(claim.account_id)
        try:
            # Whoever repeats a sign-up proves a password; guesses are counted with those of signing in.
            with self._attempts.attempt(claim.address_key, wish.authentication_key):
                if account is None or not self._is_same(wish, account):
                    raise UnauthenticatedError("address_taken")
        except UnauthenticatedError as error:
            raise ConflictError("address_taken") from error
        return await self._settle(account)

    async def _place(self, wish: SignUp, address: Address, profile: Profile, clock: Clock) -> Account:
        account = self._new_account(wish, address, profile, unix_seconds(clock))
        account = replace(account, standing=await self._notices.at_sign_up(profile))
        try:
            await self._kept.accounts.insert(
                account, unix_seconds(clock) + self._terms.rule("unfinished_account_seconds")
            )
        except ConflictError:
            earlier = await self._kept.accounts.get(wish.account_id)
            if earlier is None or earlier.address_key != account.address_key or not self._is_same(wish, earlier):
                raise
            return earlier
        return account

    async def _lost_race(self, wish: SignUp, account: Account) -> Account:
        claim = await self._living_claim(account.address_key)
        if claim is None:
            raise UnavailableError("sign_up_interrupted")
        if claim.account_id != account.account_id:
            await self._kept.accounts.delete(account.account_id)
        return await self._repeated(wish, claim)

    async def _settle(self, account: Account) -> Account:
        try:
            await self._kept.accounts.settle(account.account_id)
        except NotFoundError as error:
            await self._kept.claims.release(_claim_of(account))
            raise UnavailableError("sign_up_interrupted") from error
        return account

    def _is_same(self, wish: SignUp, account: Account) -> bool:
        proven = self._keys.verifiers.matches(
            account.account_id, Purpose.PASSWORD, account.verifier, wish.authentication_key
        )
        same_key = hmac.compare_digest(account.wrapped_private_key, wish.wrapped_private_key)
        return proven and same_key and self._keys.vault.identity(account).fingerprint == wish.fingerprint

    def _new_account(self, wish: SignUp, address: Address, profile: Profile, now: int) -> Account:
        make = self._keys.verifiers.make
        data_key, identity = self._keys.vault.new_identity(wish.account_id, Identity(address.text, wish.fingerprint))
        return Account(
            account_id=wish.account_id,
            mailbox_id=new_id(),
            profile=profile,
            address_key=address_key(self._keys.hashes, address),
            data_key=data_key,
            identity=identity,
            kdf=wish.kdf,
            verifier=make(wish.account_id, Purpose.PASSWORD, wish.authentication_key),
            wrapped_private_key=wish.wrapped_private_key,
            recovery=wish.recovery.kept(self._keys.verifiers, wish.account_id) if wish.recovery else None,
            created_day=now // _DAY,
        )


def _claim_of(account: Account) -> Claim:
    return Claim(account.address_key, account.account_id, account.mailbox_id, account.profile)
