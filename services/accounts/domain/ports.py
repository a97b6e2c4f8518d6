"""What the rules need to have kept, as Protocols; services.accounts.repository keeps it.

Every method raises UnavailableError where the store cannot answer now. Each write is atomic and durable by itself;
no method touches two documents, so what spans several is written so that a crash in between does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.accounts.domain.model import (
    Account,
    Claim,
    Credential,
    Erasure,
    Forward,
    ForwardState,
    Grant,
    Kdf,
    Leaving,
    Recovery,
    Role,
    Session,
    Verifier,
)


@dataclass(frozen=True)
class PasswordChange:
    """What a new password replaces, in one write."""

    kdf: Kdf
    verifier: Verifier
    wrapped_private_key: bytes


class AccountsPort(Protocol):
    """Accounts by id. One whose erasure has begun is none any more; only ErasuresPort knows it.

    Changes raise NotFoundError("account_not_found"), or ConflictError("account_changed") where the account is not at
    its `version` any more.
    """

    async def insert(self, account: Account, claim_due: int) -> None:
        """Keep a new account whose address is to be claimed by `claim_due`; ConflictError("account_exists")."""

    async def get(self, account_id: str) -> Account | None:
        """Return the account, None if there is none."""

    async def exists(self, account_id: str) -> bool:
        """Tell whether there is an account of this id, also one that is being erased."""

    async def settle(self, account_id: str) -> None:
        """Note that the address is claimed. Idempotent; NotFoundError if the account has been swept."""

    async def unsettled(self, due: int, limit: int) -> list[Account]:
        """Return accounts whose address was to be claimed by `due` and is not known to be."""

    async def change_password(self, account: Account, change: PasswordChange) -> Account:
        """Replace password and wrapped key, begin a new epoch; return the account as it is now."""

    async def set_recovery(self, account: Account, recovery: Recovery | None) -> None:
        """Replace or remove the second way to the private key."""

    async def set_roles(self, account: Account, roles: tuple[Role, ...]) -> None:
        """Replace the roles; each that is given or taken is announced with the same write."""

    async def new_epoch(self, account: Account) -> None:
        """End all sessions."""

    async def delete(self, account_id: str, version: int | None = None) -> bool:
        """Delete the account; tell whether it was there, at that version if one is given."""


class ErasuresPort(Protocol):
    """Accounts on their way out. Changes raise as those of AccountsPort."""

    async def get(self, account_id: str) -> Leaving | None:
        """Return the account, None if nothing of it is left."""

    async def ask(self, leaving: Leaving, erasure: Erasure | None) -> None:
        """Note that an erasure is asked for, with None that it is not."""

    async def due(self, until: int, limit: int) -> list[Leaving]:
        """Return at most `limit` accounts whose erasure was due at `until`, the most overdue first."""

    async def begin(self, leaving: Leaving) -> None:
        """End the time for undo: for AccountsPort there is no such account from now on."""

    async def destroy(self, leaving: Leaving) -> int:
        """Leave nothing of the account but that it is being erased; return how many keys went with it."""

    async def keyless(self) -> int:
        """Return how many accounts are left of which nothing can be read, at most 1,000."""

    async def announcing(self, account_id: str) -> bool:
        """Tell whether something that the account's document announces waits to be published."""

    async def delete(self, account_id: str) -> bool:
        """Delete what is left; tell whether anything was."""


class ClaimsPort(Protocol):
    """Who has which address, by its keyed hash."""

    async def insert(self, claim: Claim) -> None:
        """Claim an address; ConflictError("address_taken")."""

    async def get_many(self, address_keys: Sequence[str]) -> dict[str, Claim]:
        """Return the claims that exist, by address key; at most 1,000 are asked for."""

    async def put_forwards(self, claim: Claim) -> None:
        """Write the flag `forwards` of a claim at its version; ConflictError("account_changed")."""

    async def keep_terms(self, claim: Claim) -> None:
        """Set the flag `keeps_terms` of a claim at its version; ConflictError("account_changed")."""

    async def close(self, claim: Claim, release_due: int, lost: tuple[Role, ...] = ()) -> None:
        """Keep the address from everybody until `release_due`; ConflictError("account_changed").

        That the owner loses the roles `lost` is announced with the same write: it is the one that stays.
        """

    async def forget_owner(self, claim: Claim) -> bool:
        """Leave nothing in a closed claim but that the address is taken; tell whether there was anything to forget."""

    async def release(self, claim: Claim) -> None:
        """Give the address back, unless somebody changed the claim meanwhile."""


class SessionsPort(Protocol):
    """Sessions by the hash of their token."""

    async def insert(self, session: Session) -> None:
        """Keep a new session."""

    async def get(self, key: str) -> Session | None:
        """Return the session, None if there is none."""

    async def touch(self, key: str, idle_end: int, last_used_hour: int) -> bool:
        """Note a use; False if the session is gone."""

    async def move(self, key: str, epoch: int) -> bool:
        """Let the session live on in a new epoch; False if it is gone."""

    async def of_account(self, account_id: str) -> list[Session]:
        """Return the sessions of an account, the one that would end first in front; at most 1,000."""

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete sessions; those that are gone do not matter."""


class CredentialsPort(Protocol):
    """API keys and app passwords by the keyed hash of their secret."""

    async def insert(self, credential: Credential) -> None:
        """Keep a new credential; ConflictError("slot_taken")."""

    async def get(self, key: str) -> Credential | None:
        """Return the credential, None if there is none."""

    async def of_account(self, account_id: str) -> list[Credential]:
        """Return the credentials of an account in order of their slots."""

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete credentials; those that are gone do not matter."""


class ForwardsPort(Protocol):
    """Addresses that get copies, by the hash of their token."""

    async def insert(self, forward: Forward) -> None:
        """Keep a new one; ConflictError("slot_taken")."""

    async def get(self, key: str) -> Forward | None:
        """Return one, None if there is none."""

    async def of_account(self, account_id: str) -> list[Forward]:
        """Return those of an account in order of their slots."""

    async def put_state(self, forward: Forward, state: ForwardState) -> None:
        """Note an answer at the version of `forward`; ConflictError, NotFoundError."""

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete some; those that are gone do not matter."""

    async def sweep(self, now: int, limit: int) -> int:
        """Delete at most `limit` that were to be confirmed by `now`; return how many."""


class GrantsPort(Protocol):
    """Who holds which role."""

    async def insert(self, grant: Grant) -> None:
        """Keep a new grant; ConflictError("slot_taken")."""

    async def of_role(self, role: Role, limit: int) -> list[Grant]:
        """Return the holders of a role in order of their slots."""

    async def delete(self, grant: Grant) -> None:
        """Delete the grant; one that is gone does not matter."""


@dataclass(frozen=True)
class Kept:
    """Everything this service keeps."""

    accounts: AccountsPort
    erasures: ErasuresPort
    claims: ClaimsPort
    sessions: SessionsPort
    credentials: CredentialsPort
    grants: GrantsPort
    forwards: ForwardsPort
