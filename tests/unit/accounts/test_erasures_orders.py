"""Any order of asking, undoing, time, beginning, erasing and dying: never early, never undone late, nothing left (E6).

Two accounts, whose processes may die before or after any write. What a call that died has done is unknown to whoever
made it, so what must hold is checked against what stands in the store.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.docstore.sqlite import SqliteStore
from libs.owner.model import Subject
from libs.runtime.errors import ConflictError, NotFoundError, UnauthenticatedError, UnavailableError
from services.accounts.domain.directory import Status
from services.accounts.domain.model import Account, CredentialKind, Leaving, Role
from services.accounts.domain.registration import SignUp
from services.accounts.repository import COLLECTIONS
from tests.support.clock import ManualClock
from tests.unit.accounts.support import Crash, Platform, die_at, make_platform, make_recovery, make_settings, make_wish

WHO = st.sampled_from([0, 1])
# At which write the process dies; mostly at none.
DEATH = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 6])
AFTER = st.booleans()


@dataclass
class Person:
    """Somebody with an account, and what must hold for it."""

    wish: SignUp
    account: Account
    token: str
    key: str
    # All times at which an erasure that was asked for may become due; emptied by an undo.
    dues: set[int]
    begun: bool = False
    gone: bool = False


class Erasing(RuleBasedStateMachine):
    """One service, restarted whenever it dies."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._directory = Path(tempfile.mkdtemp(prefix="accounts-orders-"))

    def _run(self, call: Awaitable[None]) -> None:
        async def run() -> None:
            await call

        self._runner.run(run())

    @initialize(ahead=st.sampled_from(["", "due", "begun"]))
    def begin_with_two(self, ahead: str) -> None:
        """Sign two people up and give them one of everything; the first may be further already."""

        async def start() -> None:
            path = self._directory / "accounts.db"
            store = await self._stack.enter_async_context(SqliteStore.open(path, COLLECTIONS))
            self.platform = make_platform(store, ManualClock(), make_settings(), path)
            self.people = [await self._settle(name) for name in ("ada", "bob")]
            await self.platform.published()
            if ahead:
                person, erasures = self.people[0], self.platform.graph.erasures
                await erasures.request(person.account.account_id)
                person.dues.add(self.platform.now + 14 * 86400)
                self.platform.clock.advance(days=14)
                if ahead == "begun":
                    await erasures.begin(person.account.account_id)

        self._run(start())

    async def _settle(self, name: str) -> Person:
        wish = make_wish(f"{name}@sealpost.test", recovery=make_recovery())
        account = await self.platform.sign_up(wish)
        graph = self.platform.graph
        token, _ = await graph.signed_in.start(account)
        made = await graph.programs.create(account.account_id, CredentialKind.API_KEY, "x", ["mail:read"])
        await graph.forwards.add(account, "copies@mail.example")
        await graph.staff.grant(wish.address, Role.SUPPORT)
        return Person(wish, account, token, made.secret, set())

    def _do(self, call: Callable[[Platform], Awaitable[None]], death: int, after: bool) -> None:
        """Do something in a process that dies at its n-th write, if it comes that far."""

        async def attempt() -> None:
            process = self.platform.again()
            if death:
                hook = die_at(death)
                process.store.before, process.store.after = (None, hook) if after else (hook, None)
            try:
                await call(process)
            except Crash:
                pass

        self._run(attempt())

    @rule(who=WHO, death=DEATH, after=AFTER)
    def ask(self, who: int, death: int, after: bool) -> None:
        """Ask for an erasure."""
        person = self.people[who]

        async def call(process: Platform) -> None:
            person.dues.add(process.now + 14 * 86400)
            try:
                await process.graph.erasures.request(person.account.account_id)
            except NotFoundError:
                assert person.begun

        self._do(call, death, after)

    @rule(who=WHO, death=DEATH, after=AFTER)
    def undo(self, who: int, death: int, after: bool) -> None:
        """Undo."""
        person = self.people[who]

        async def call(process: Platform) -> None:
            try:
                await process.graph.erasures.cancel(person.account.account_id)
            except (ConflictError, NotFoundError):
                assert person.begun
            else:
                assert not person.begun
                person.dues = set()

        self._do(call, death, after)

    @rule(seconds=st.sampled_from([1, 86400, 7 * 86400, 14 * 86400]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.platform.clock.advance(seconds)

    @rule(who=WHO, death=DEATH, after=AFTER)
    def begin(self, who: int, death: int, after: bool) -> None:
        """Begin, whether or not it is time."""
        person = self.people[who]

        async def call(process: Platform) -> None:
            try:
                await process.graph.erasures.begin(person.account.account_id)
            except ConflictError:
                assert not person.begun
            except NotFoundError:
                assert person.gone
            else:
                leaving = await self._leaving(person)
                assert leaving is not None and leaving.begun

        self._do(call, death, after)

    @rule(who=WHO, death=DEATH, after=AFTER, limit=st.sampled_from([1, 2, 100]))
    def erase(self, who: int, death: int, after: bool, limit: int) -> None:
        """Do one step of an erasure that has begun, as retention does."""
        person = self.people[who]

        async def call(process: Platform) -> None:
            subject = Subject(person.account.account_id, person.account.mailbox_id)
            try:
                step = await process.owner.erase(subject, limit)
            except UnavailableError:
                await process.published()
                return
            assert step.more == ((await self._leaving(person)) is not None)

        if person.begun:
            self._do(call, death, after)

    @rule(death=DEATH)
    def sweep(self, death: int) -> None:
        """Sweep everything."""

        async def call(process: Platform) -> None:
            for name in process.owner.names:
                await process.owner.sweep(name, process.now, 100)

        self._do(call, death, False)

    @invariant()
    def holds(self) -> None:
        """Check what must hold whatever happened."""
        if hasattr(self, "people"):
            for person in self.people:
                self._run(self._check(person))

    async def _check(self, person: Person) -> None:
        leaving = await self._leaving(person)
        begun = leaving is None or leaving.begun
        assert begun or not person.begun, "undone after its beginning"
        if begun and not person.begun:
            assert any(due <= self.platform.now for due in person.dues), "begun before its time"
        person.begun = begun
        (route,) = await self.platform.graph.directory.resolve([person.wish.address])
        if not begun:
            assert (route.status, route.account_id) == (Status.OK, person.account.account_id)
            found = await self.platform.graph.access.sign_in(person.wish.address, person.wish.authentication_key)
            assert found.account_id == person.account.account_id
        else:
            await self._check_dead(person, leaving)

    async def _check_dead(self, person: Person, leaving: Leaving | None) -> None:
        # Another process, which has not counted the attempts of earlier checks.
        graph = self.platform.again().graph
        for attempt in (
            graph.access.sign_in(person.wish.address, person.wish.authentication_key),
            graph.signed_in.authenticate(person.token),
            graph.programs.by_api_key(person.key),
        ):
            try:
                await attempt
            except (UnauthenticatedError, NotFoundError):
                continue
            raise AssertionError("somebody is signed in to an account that is being erased")
        if leaving is None and not person.gone:
            # A step that died before it came to this does it when it is repeated.
            subject = Subject(person.account.account_id, person.account.mailbox_id)
            await self.platform.again().owner.erase(subject, 100)
            person.gone = True
        if person.gone:
            self._check_files(person)

    def _check_files(self, person: Person) -> None:
        content = b"".join(path.read_bytes() for path in self._directory.iterdir())
        account, recovery = person.account, person.wish.recovery
        assert recovery is not None
        marks = [account.account_id.encode(), account.mailbox_id.encode(), account.data_key, account.identity]
        marks += [account.wrapped_private_key, recovery.wrapped_private_key, account.verifier.digest]
        assert [number for number, mark in enumerate(marks) if mark in content] == []

    async def _leaving(self, person: Person) -> Leaving | None:
        return await self.platform.graph.kept.erasures.get(person.account.account_id)

    def teardown(self) -> None:
        """Close the store."""
        self._runner.run(self._stack.aclose())
        self._runner.close()
        shutil.rmtree(self._directory)


Erasing.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestErasing = Erasing.TestCase
