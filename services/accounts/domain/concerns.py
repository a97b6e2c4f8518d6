"""Concerns: a thread between an account's owner and staff (policy E6: anyone can raise a concern).

A concern is open while it waits for staff, answered while it waits for its owner, and closed for good; an entry of the
owner opens an answered one again. Each entry is sealed under the account's data key at its place in the thread, so it
can be neither moved nor read once the account is erased. Slots number the concerns of an account that are not closed;
the pair is unique, which makes the maximum exact. A closed one is deleted `concern_seconds` after it was closed, by the
terms that held for the account then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.policy.terms import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, InternalError, InvalidError, NotFoundError
from libs.runtime.ids import is_id, new_id
from services.accounts.domain.model import Account
from services.accounts.domain.notices import terms_in_force
from services.accounts.domain.rights import OwnersRights
from services.accounts.domain.rights_ports import About, Concern, ConcernsPort, ConcernState
from services.accounts.domain.vault import Place, Vault

MAX_OPEN = 20
MAX_KEPT = 200
MAX_ENTRIES = 50
MAX_CHARACTERS = 5000

_TRIES = 5


@dataclass(frozen=True)
class Entry:
    """One entry in clear; `at` in Unix seconds."""

    by_staff: bool
    at: int
    text: str


@dataclass(frozen=True)
class Thread:
    """A concern with its entries, oldest first (none in lists), and for staff the address of its owner."""

    concern: Concern
    entries: tuple[Entry, ...] = ()
    address: str = ""


class Concerns:
    """Opens, answers, closes and lists. Where `account_id` is empty, staff is asking."""

    def __init__(self, vault: Vault, rights: OwnersRights, concerns: ConcernsPort, terms: Terms, clock: Clock) -> None:
        """`terms` know how long a closed concern is kept."""
        self._vault = vault
        self._rights = rights
        self._concerns = concerns
        self._terms = terms
        self._clock = clock

    async def open(self, account_id: str, about: About, text: str) -> Thread:
        """Open a concern.

        Raises: InvalidError("text"), ExhaustedError("too_many_concerns"), NotFoundError("account_not_found").
        """
        checked = _checked(text)
        account = await self._rights.living(account_id)
        now = unix_seconds(self._clock)
        for _ in range(_TRIES):
            if len(await self._concerns.of_account(account_id, MAX_KEPT)) >= MAX_KEPT:
                raise ExhaustedError("too_many_concerns")
            taken = await self._concerns.slots(account_id)
            free = next((slot for slot in range(MAX_OPEN) if slot not in taken), None)
            if free is None:
                raise ExhaustedError("too_many_concerns")
            blank = Concern(new_id(), account_id, about, ConcernState.OPEN, now, now, (), free)
            concern = self._with_entry(account, blank, Entry(False, now, checked))
            try:
                await self._concerns.insert(concern)
            except ConflictError:
                continue
            await self._unless_gone(concern)
            return self._thread(account, concern)
        raise ConflictError("account_changed")

    async def get(self, account_id: str, concern_id: str) -> Thread:
        """Return a concern with its entries; NotFoundError("concern_not_found") for anybody else's."""
        concern, account = await self._find(account_id, concern_id)
        return self._thread(account, concern, staff=not account_id)

    async def add(self, account_id: str, concern_id: str, text: str) -> Thread:
        """Add an entry: staff's answers, the owner's opens again. The last of 50 places is left to staff.

        Raises: InvalidError("text"), ConflictError("concern_closed" | "account_changed"),
        ExhaustedError("concern_full"), NotFoundError("concern_not_found").
        """
        checked, staff = _checked(text), not account_id
        for _ in range(_TRIES):
            concern, account = await self._find(account_id, concern_id)
            if concern.state is ConcernState.CLOSED:
                raise ConflictError("concern_closed")
            if len(concern.entries) >= MAX_ENTRIES - (not staff):
                raise ExhaustedError("concern_full")
            now = unix_seconds(self._clock)
            state = ConcernState.ANSWERED if staff else ConcernState.OPEN
            after = self._with_entry(account, replace(concern, state=state, changed_at=now), Entry(staff, now, checked))
            written = await self._put(after)
            if written is not None:
                return self._thread(account, written, staff=staff)
        raise ConflictError("account_changed")

    async def close(self, account_id: str, concern_id: str) -> Thread:
        """Close a concern. Idempotent. Raises: NotFoundError("concern_not_found"), ConflictError("account_changed")."""
        for _ in range(_TRIES):
            concern, account = await self._find(account_id, concern_id)
            if concern.state is ConcernState.CLOSED:
                return self._thread(account, concern, staff=not account_id)
            now = unix_seconds(self._clock)
            terms = terms_in_force(account.standing, self._terms.active, now)
            due = now + self._terms.rule("concern_seconds", terms)
            closed = replace(concern, state=ConcernState.CLOSED, changed_at=now, slot=None, due=due)
            written = await self._put(closed)
            if written is not None:
                return self._thread(account, written, staff=not account_id)
        raise ConflictError("account_changed")

    async def listed(self, account_id: str, limit: int) -> list[Thread]:
        """Return concerns without their entries, at most `limit` (1 to 200).

        An owner's: the last changed first. Staff: those that wait for an answer first, of these the longest waiting.
        """
        if not 1 <= limit <= MAX_KEPT:
            raise InvalidError("limit")
        if account_id:
            await self._rights.living(account_id)
            return [Thread(concern) for concern in await self._concerns.of_account(account_id, limit)]
        found = await self._concerns.in_state(ConcernState.OPEN, limit, oldest=True)
        for state in (ConcernState.ANSWERED, ConcernState.CLOSED):
            if len(found) < limit:
                found += await self._concerns.in_state(state, limit - len(found), oldest=False)
        return await self._addressed(found)

    def entries(self, account: Account, concern: Concern) -> tuple[Entry, ...]:
        """Open the entries of a concern. Raises: InternalError("concern_damaged" | "account_damaged")."""
        return tuple(self._opened(account, concern, number) for number in range(len(concern.entries)))

    async def _addressed(self, found: Sequence[Concern]) -> list[Thread]:
        addresses: dict[str, str] = {}
        for account_id in {concern.account_id for concern in found}:
            try:
                addresses[account_id] = self._vault.identity(await self._rights.living(account_id)).address
            except NotFoundError:
                # On its way out with its account.
                continue
        return [
            Thread(concern, (), addresses[concern.account_id]) for concern in found if concern.account_id in addresses
        ]

    async def _find(self, account_id: str, concern_id: str) -> tuple[Concern, Account]:
        concern = await self._concerns.get(concern_id) if is_id(concern_id) else None
        if concern is None or (account_id and concern.account_id != account_id):
            raise NotFoundError("concern_not_found")
        try:
            return concern, await self._rights.living(concern.account_id)
        except NotFoundError as error:
            raise NotFoundError("concern_not_found") from error

    async def _put(self, concern: Concern) -> Concern | None:
        """Write it; None if somebody else changed it at the same moment."""
        try:
            return await self._concerns.put(concern)
        except ConflictError:
            return None
        except NotFoundError as error:
            raise NotFoundError("concern_not_found") from error

    async def _unless_gone(self, concern: Concern) -> None:
        try:
            await self._rights.living(concern.account_id)
        except NotFoundError:
            await self._concerns.delete_many([concern.concern_id])
            raise

    def _thread(self, account: Account, concern: Concern, *, staff: bool = False) -> Thread:
        address = self._vault.identity(account).address if staff else ""
        return Thread(concern, self.entries(account, concern), address)

    def _with_entry(self, account: Account, concern: Concern, entry: Entry) -> Concern:
        content = json.dumps({"by_staff": entry.by_staff, "at": entry.at, "text": entry.text})
        sealed = self._vault.seal_text(account, _place(concern, len(concern.entries)), content)
        return replace(concern, entries=(*concern.entries, sealed))

    def _opened(self, account: Account, concern: Concern, number: int) -> Entry:
        text = self._vault.open_text(account, _place(concern, number), concern.entries[number])
        try:
            content = json.loads(text)
            return Entry(content["by_staff"] is True, int(content["at"]), str(content["text"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InternalError("concern_damaged") from error


def _place(concern: Concern, number: int) -> Place:
    return Place("concerns", concern.concern_id, f"entries/{number}")


def _checked(text: str) -> str:
    if not 1 <= len(text) <= MAX_CHARACTERS or not text.strip():
        raise InvalidError("text")
    if any((character < " " and character not in "\n\r\t") or character == "\x7f" for character in text):
        raise InvalidError("text")
    return text
