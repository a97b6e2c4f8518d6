"""The life of sessions, see domain.sessions for what is kept of them and why."""

from __future__ import annotations

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, UnauthenticatedError
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.model import Account, Principal, Session
from services.accounts.domain.ports import Kept
from services.accounts.domain.sessions import MAX_SESSIONS, SessionRules, is_over, token_key

# Somebody else changed the account at the same moment, every time: the caller may come back.
_TRIES = 3


class SignedIn:
    """Starts, finds and ends sessions."""

    def __init__(self, terms: AccountTerms, kept: Kept, clock: Clock) -> None:
        """Keep sessions under the `terms` of their accounts."""
        self._terms = terms
        self._kept = kept
        self._clock = clock

    async def start(self, account: Account) -> tuple[str, Session]:
        """Return a new token and its session; the session that would end first makes room where there are 50."""
        token, session = self._rules(account).start(account.account_id, account.epoch, self._now())
        others = await self._kept.sessions.of_account(account.account_id)
        crowd = len(others) + 1 - MAX_SESSIONS
        if crowd > 0:
            await self._kept.sessions.delete_many([other.key for other in others[:crowd]])
        await self._kept.sessions.insert(session)
        return token, session

    async def authenticate(self, token: str) -> Principal:
        """Return who holds this token, and note that he was here.

        Raises: UnauthenticatedError("session_invalid").
        """
        account, session = await self._living(token_key(token))
        use = self._rules(account).used(session, self._now())
        if use is not None and not await self._kept.sessions.touch(session.key, *use):
            raise UnauthenticatedError("session_invalid")
        return Principal(
            account_id=account.account_id,
            mailbox_id=account.mailbox_id,
            profile=account.profile,
            roles=account.roles,
            scopes=(),
            proof_id=session.session_id,
            terms=self._terms.version(account.standing),
        )

    async def sign_out(self, token: str) -> None:
        """End the session of this token; afterwards there is none, whether or not there was one before."""
        try:
            key = token_key(token)
        except UnauthenticatedError:
            return
        await self._kept.sessions.delete_many([key])

    async def sign_out_everywhere(self, account_id: str) -> int:
        """End all sessions of an account; return how many there were.

        Raises: NotFoundError("account_not_found"), ConflictError("account_changed").
        """
        account = await self._new_epoch(account_id)
        sessions = await self._kept.sessions.of_account(account_id)
        await self._kept.sessions.delete_many([session.key for session in sessions])
        return sum(self._is_living(session, account) for session in sessions)

    async def end_others(self, account: Account, token: str) -> None:
        """After `account` began a new epoch: let the session of `token` live on in it, remove all the others."""
        try:
            keep = token_key(token)
        except UnauthenticatedError:
            keep = ""
        sessions = await self._kept.sessions.of_account(account.account_id)
        # A token of somebody else's session, or one that had ended already, keeps nothing alive.
        kept = [s for s in sessions if s.key == keep and s.epoch == account.epoch - 1]
        for session in kept:
            await self._kept.sessions.move(session.key, account.epoch)
        gone = [s.key for s in sessions if s not in kept and s.epoch < account.epoch]
        await self._kept.sessions.delete_many(gone)

    async def list(self, account_id: str) -> list[Session]:
        """Return the living sessions of an account, newest first.

        Raises: NotFoundError("account_not_found").
        """
        account = await self._account(account_id)
        sessions = await self._kept.sessions.of_account(account_id)
        living = [session for session in sessions if self._is_living(session, account)]
        return sorted(living, key=lambda session: session.expires_at, reverse=True)

    async def _new_epoch(self, account_id: str) -> Account:
        """Begin a new epoch; return the account as it was before."""
        for _ in range(_TRIES):
            account = await self._account(account_id)
            try:
                await self._kept.accounts.new_epoch(account)
            except ConflictError:
                continue
            return account
        raise ConflictError("account_changed")

    async def _account(self, account_id: str) -> Account:
        account = await self._kept.accounts.get(account_id)
        if account is None:
            raise NotFoundError("account_not_found")
        return account

    async def _living(self, key: str) -> tuple[Account, Session]:
        session = await self._kept.sessions.get(key)
        if session is None:
            raise UnauthenticatedError("session_invalid")
        account = await self._kept.accounts.get(session.account_id)
        if account is None or not self._is_living(session, account):
            raise UnauthenticatedError("session_invalid")
        return account, session

    def _is_living(self, session: Session, account: Account) -> bool:
        return session.epoch == account.epoch and not is_over(session, self._now())

    def _rules(self, account: Account) -> SessionRules:
        standing = account.standing
        return SessionRules(
            self._terms.rule("session_idle_seconds", standing), self._terms.rule("session_seconds", standing)
        )

    def _now(self) -> int:
        return unix_seconds(self._clock)
