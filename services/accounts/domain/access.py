"""Signing in, changing the password, and the way back with a recovery code.

Every check of a proof is the same sequence whether the address exists or not: parse, count the attempt, two look-ups by
key (a decoy id stands in for a missing account), one HMAC, one comparison. So neither the answer nor its time tells.

A recovery code is a second password that only unwraps the private key; it goes through the same steps. The flow keeps
no state here: completing it carries the proof again. The code stays valid afterwards, because it still unwraps the
same private key and its owner has it written down; he can replace or remove it like any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.errors import NotFoundError, UnauthenticatedError
from services.accounts.domain import verifiers
from services.accounts.domain.addresses import Address, parse_address
from services.accounts.domain.attempts import Attempts
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Kdf, State, Verifier
from services.accounts.domain.ports import Kept, PasswordChange
from services.accounts.domain.registration import NewRecovery
from services.accounts.domain.vault import address_key
from services.accounts.domain.verifiers import Purpose


@dataclass(frozen=True)
class NewPassword:
    """A new password as the client announces it."""

    kdf: Kdf
    authentication_key: bytes
    wrapped_private_key: bytes


@dataclass(frozen=True)
class ProofAttempts:
    """Counters of wrong proofs, one for each kind: guesses at one do not lock the others."""

    password: Attempts
    recovery: Attempts


class Access:
    """Checks who somebody is by what only he can derive."""

    def __init__(self, keys: Keys, kept: Kept, attempts: ProofAttempts) -> None:
        """Check against what is kept."""
        self._keys = keys
        self._kept = kept
        self._attempts = attempts

    async def kdf(self, text: str) -> Kdf:
        """Return the derivation parameters of an address, plausible ones if it has no account.

        Raises: InvalidError("address_invalid").
        """
        address = parse_address(text).base
        account = await self._find(address)
        # Both are computed each time; the salt of an address that is free never depends on who has asked before.
        decoy = verifiers.decoy_kdf(self._keys.hashes, address)
        return account.kdf if account else decoy

    async def sign_in(self, text: str, authentication_key: bytes) -> Account:
        """Return the account behind an address and a password.

        Raises: UnauthenticatedError("bad_proof"), ExhaustedError("too_many_attempts"), InvalidError.
        """
        return await self._proven(text, Purpose.PASSWORD, authentication_key)

    async def change_password(self, account_id: str, current: bytes, new: NewPassword) -> Account:
        """Replace the password, keeping the private key; return the account in its new epoch: all sessions have ended.

        Raises: UnauthenticatedError("bad_proof"), ExhaustedError("too_many_attempts"), InvalidError,
        NotFoundError("account_not_found"), ConflictError("account_changed").
        """
        _check_password(new)
        account = await self._confirmed(account_id, current)
        return await self._kept.accounts.change_password(account, self._change(account, new))

    async def set_recovery(self, account_id: str, current: bytes, recovery: NewRecovery | None) -> None:
        """Replace the recovery code, or remove it. Raises: as `change_password`."""
        if recovery is not None:
            recovery.check()
        account = await self._confirmed(account_id, current)
        kept = recovery.kept(self._keys.verifiers, account_id) if recovery else None
        await self._kept.accounts.set_recovery(account, kept)

    async def prove(self, account_id: str, current: bytes) -> Account:
        """Return the account if this is the proof of its password. Raises: as `change_password`."""
        return await self._confirmed(account_id, current)

    async def start_recovery(self, text: str, authentication_key: bytes) -> tuple[bytes, str]:
        """Return the private key as wrapped under the recovery code, and its fingerprint.

        Raises: UnauthenticatedError("bad_proof") also where no code was ever made, ExhaustedError, InvalidError.
        """
        account = await self._proven(text, Purpose.RECOVERY, authentication_key)
        if account.recovery is None:
            raise UnauthenticatedError("bad_proof")
        return account.recovery.wrapped_private_key, self._keys.vault.identity(account).fingerprint

    async def complete_recovery(self, text: str, authentication_key: bytes, new: NewPassword) -> Account:
        """Set a new password by the proof of a recovery code; all sessions have ended. Raises: as `start_recovery`."""
        _check_password(new)
        account = await self._proven(text, Purpose.RECOVERY, authentication_key)
        return await self._kept.accounts.change_password(account, self._change(account, new))

    async def _proven(self, text: str, purpose: Purpose, proof: bytes) -> Account:
        verifiers.check_authentication_key(proof)
        address = parse_address(text).base
        key = address_key(self._keys.hashes, address)
        with self._counter(purpose).attempt(key, proof):
            account = await self._find(address)
            account_id = account.account_id if account else self._decoy_id(key)
            verifier = _verifier(account, purpose)
            if not self._keys.verifiers.matches(account_id, purpose, verifier, proof) or account is None:
                raise UnauthenticatedError(_WRONG)
        return account

    async def _confirmed(self, account_id: str, proof: bytes) -> Account:
        verifiers.check_authentication_key(proof)
        with self._attempts.password.attempt(account_id, proof):
            account = await self._kept.accounts.get(account_id)
            if account is None:
                raise NotFoundError("account_not_found")
            if not self._keys.verifiers.matches(account_id, Purpose.PASSWORD, account.verifier, proof):
                raise UnauthenticatedError(_WRONG)
        return account

    async def _find(self, address: Address) -> Account | None:
        key = address_key(self._keys.hashes, address)
        claim = (await self._kept.claims.get_many([key])).get(key)
        active = claim is not None and claim.state is State.ACTIVE
        return await self._kept.accounts.get(claim.account_id if claim and active else self._decoy_id(key))

    def _decoy_id(self, key: str) -> str:
        return self._keys.hashes.digest("decoy-account", key.encode()).hex()

    def _counter(self, purpose: Purpose) -> Attempts:
        return self._attempts.password if purpose is Purpose.PASSWORD else self._attempts.recovery

    def _change(self, account: Account, new: NewPassword) -> PasswordChange:
        verifier = self._keys.verifiers.make(account.account_id, Purpose.PASSWORD, new.authentication_key)
        return PasswordChange(new.kdf, verifier, new.wrapped_private_key)


_WRONG = "bad_proof"


def _verifier(account: Account | None, purpose: Purpose) -> Verifier | None:
    if account is None:
        return None
    if purpose is Purpose.PASSWORD:
        return account.verifier
    return account.recovery.verifier if account.recovery else None


def _check_password(new: NewPassword) -> None:
    verifiers.check_kdf(new.kdf)
    verifiers.check_authentication_key(new.authentication_key)
    verifiers.check_wrapped_key(new.wrapped_private_key)
