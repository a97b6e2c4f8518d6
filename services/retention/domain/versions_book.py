"""The versions of this installation: what the running configuration means, and what operators may do with it.

Whenever somebody begins to lead, and whenever another version has come into force, the running configuration is
compared with the version in force. What says the same changes nothing; what is not material is in force at once, under
a new number; what is material is proposed, and stands still until an operator announces it. A configuration that was
taken back takes its candidate with it. One that was changed again while its candidate is announced lets the candidate
be if what has changed since is not material: it is compared again once the candidate is in force. Otherwise it gets a
number, and a notice, of its own.

Every write is on condition of the version that was read, so whoever is late changes nothing and looks again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from libs.policy import terms
from libs.policy.changes import Change
from libs.policy.classify import classify, is_material
from libs.policy.document import encoded
from libs.runtime.errors import ConflictError, DeniedError, NotFoundError, UnavailableError
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import Evidence, TrustedTime
from services.retention.domain.versions import (
    NoticeBook,
    PolicyVersion,
    Running,
    State,
    Step,
    VersionStore,
    read,
)
from services.retention.domain.versions_notices import Notices, Periods

# Versions whose numbers are told to owners: more than anybody can hold on to.
_MOST_TOLD = 100

_log = get_logger("versions")


@dataclass(frozen=True)
class Tools:
    """What it works with."""

    store: VersionStore
    running: Running
    book: NoticeBook
    notices: Notices
    evidence: Evidence
    time: TrustedTime
    # Tells owners the numbers as soon as may be; whom it does not reach is told by whoever tells them again and again.
    tell: Callable[[Sequence[terms.Version]], Awaitable[None]]


class Versions:
    """The versions of the policy. What may be called by anybody at any time, and `step` by who leads."""

    def __init__(self, tools: Tools) -> None:
        """Begin with nothing compared."""
        self._tools = tools
        self._store = tools.store
        self._compared: tuple[int, int] = (0, 0)
        self._told = 0
        self._known: tuple[terms.Version, ...] = ()

    async def in_force(self) -> PolicyVersion | None:
        """Return the version in force. Raises: UnavailableError."""
        found = await self._store.in_state(State.ACTIVE, 1)
        return found[0] if found else None

    async def get(self, number: int) -> PolicyVersion:
        """Return a version, 0: the one in force. Raises: NotFoundError("policy_version"), UnavailableError."""
        found = await self._store.get(number) if number else await self.in_force()
        if found is None:
            raise NotFoundError("policy_version")
        return found

    async def newest(self, limit: int) -> Sequence[PolicyVersion]:
        """Return versions, newest first. Raises: UnavailableError."""
        return await self._store.newest(limit)

    async def numbers(self) -> Sequence[terms.Version]:
        """Return the numbers that owners must know: of the version in force, and of those that somebody may hold."""
        found = await self._store.in_state(State.ACTIVE, 2)
        if len(found) == 1 and self._known and self._known[0].version == found[0].number:
            return self._known
        told = [terms.Version(one.number, one.rules, position == 0) for position, one in enumerate(found)]
        before = await self._store.in_state(State.REPLACED, _MOST_TOLD)
        known = (*told, *(terms.Version(one.number, one.rules) for one in before))
        # What was replaced stays as it is; two are in the state only until the older one is marked.
        self._known = known if len(found) == 1 else ()
        return known

    async def periods(self) -> Periods:
        """Return what the version in force says of notices. Raises: NotFoundError, UnavailableError."""
        rules = (await self.get(0)).rules
        return Periods(rules["notice_seconds"], rules["refusal_seconds"])

    async def announce(self, number: int) -> PolicyVersion:
        """Begin the notices of a proposed version. Raises: NotFoundError, ConflictError("policy_state")."""
        found, current = await self.get(number), await self.get(0)
        if found.replaces != current.number:
            raise ConflictError("policy_state")
        written = await self._put(found.announced(self._tools.time.now()))
        await self._finish()
        return written

    async def withdraw(self, number: int) -> PolicyVersion:
        """Take back what is not in force. Raises: NotFoundError, ConflictError("policy_state")."""
        return await self._put((await self.get(number)).withdrawn())

    async def activate(self, number: int) -> PolicyVersion:
        """Put an announced version in force.

        Raises: NotFoundError; ConflictError("policy_state"); DeniedError("notice_running") unless everybody affected
        has had notice for as long as the version in force says.
        """
        found, current = await self.get(number), await self.get(0)
        if found.replaces != current.number:
            raise ConflictError("policy_state")
        now = self._tools.time.now()
        active = found.activated(now)
        before = now - (await self.periods()).notice
        if found.announced_at > before or not (await self._tools.book.state(number, found.profiles, before)).complete:
            raise DeniedError("notice_running")
        written = await self._put(active)
        await self._finish()
        await self._tools.tell(await self.numbers())
        return written

    async def mend(self, leading: bool = False) -> None:
        """Finish what somebody who died has left: marks of what was replaced, and entries of the ledger.

        That a version was taken back is told to accounts by who leads alone, after his last word about its notices.
        """
        for one in (await self._store.in_state(State.ACTIVE, 10))[1:]:
            await self._store.put(replace(one, state=State.REPLACED))
        for one in await self._store.owing(10):
            if one.state is State.WITHDRAWN:
                if not leading:
                    continue
                if one.announced_at:
                    await self._tools.book.withdraw(one.number, one.profiles)
            for step in one.owed:
                await self._tools.evidence.append(step, one.entry(), once=f"{step}:{one.number}")
            await self._store.put(replace(one, owed=()))

    async def step(self, term: int) -> None:
        """Do what is due, as the leader of `term`. Raises: UnavailableError, and ConflictError to be called again."""
        await self.mend(leading=True)
        current = await self.in_force()
        if current is None or self._compared != (term, current.number):
            self._compared = (term, await self._compare(current))
        candidate = await self._candidate()
        if candidate is not None and candidate.state is State.ANNOUNCED:
            await self._announced(candidate)
        await self.mend(leading=True)
        current = await self.in_force()
        if current is not None and self._told != current.number:
            await self._tools.tell(await self.numbers())
            self._told = current.number

    async def _candidate(self) -> PolicyVersion | None:
        for state in (State.ANNOUNCED, State.PROPOSED):
            if found := await self._store.in_state(state, 1):
                return found[0]
        return None

    async def _announced(self, version: PolicyVersion) -> None:
        periods = await self.periods()
        last = await self._tools.notices.step(version, periods)
        now = self._tools.time.now()
        state = await self._tools.book.state(version.number, version.profiles, now - periods.notice)
        counted = replace(
            version, noticed_at=max(last, version.noticed_at), noticed=state.noticed, refused=state.refused
        )
        if counted != version:
            version = await self._store.put(counted)
        if state.complete and version.earliest(periods.notice) <= now:
            await self.activate(version.number)

    async def _compare(self, current: PolicyVersion | None) -> int:
        """Make of the running configuration what it is; return the number of the version in force afterwards."""
        running, now = self._tools.running, self._tools.time.now()
        number = next((one.number for one in await self._store.newest(1)), 0) + 1
        document = running.document(number)
        if current is None:
            return await self._add(_made(number, running, (), now, 0))
        changes = tuple(classify(read(current), document))
        candidate = await self._candidate()
        if not is_material(list(changes)):
            if candidate is not None:
                await self._put(candidate.withdrawn())
            return await self._add(_made(number, running, changes, now, current.number)) if changes else current.number
        if candidate is not None:
            since = classify(read(candidate), document)
            if not since or (candidate.state is State.ANNOUNCED and not is_material(since)):
                return current.number
            await self._put(candidate.withdrawn())
        await self._add(_made(number, running, changes, now, current.number))
        return current.number

    async def _add(self, version: PolicyVersion) -> int:
        await self._store.add(version)
        _log.info(version.owed[0], count=version.number)
        return version.number

    async def _put(self, version: PolicyVersion) -> PolicyVersion:
        written = await self._store.put(version)
        _log.info(version.owed[-1], count=version.number)
        return written

    async def _finish(self) -> None:
        """Write the ledger's entries now where that can be; otherwise who leads does it."""
        try:
            await self.mend()
        except (ConflictError, UnavailableError) as error:
            _log.info("mended_later", error=error)


def _made(number: int, running: Running, changes: tuple[Change, ...], now: int, replaces: int) -> PolicyVersion:
    """Return the running configuration as a version: in force unless a change is material."""
    material = is_material(list(changes))
    return PolicyVersion(
        number=number,
        state=State.PROPOSED if material else State.ACTIVE,
        document=encoded(running.document(number)),
        rules=dict(running.rules),
        changes=changes,
        replaces=replaces,
        proposed_at=now,
        activated_at=0 if material else now,
        owed=(Step.PROPOSED,) if material else (Step.ACTIVATED,),
    )
