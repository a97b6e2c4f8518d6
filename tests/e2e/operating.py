"""The operators' page before the real gateway and the real accounts, with an analytics that invents its numbers.

It runs in a thread of its own, since the browser is driven from this one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from libs.client.api import Client
from libs.runtime.clock import SystemClock, unix_seconds
from services.accounts.domain.model import Role
from services.accounts.domain.notices import Marking
from tests.e2e.browser import PASSWORD
from tests.support.fake_analytics import FakeAnalytics
from tests.support.fake_billing import FakeBilling
from tests.support.fake_gateway import DIST
from tests.support.fake_retention import FakeRetention
from tests.support.gateway import MEMBERS, Site, running_site

T = TypeVar("T")
_SECONDS = 30.0
_DAY = 86_400


class Installation:
    """A site whose people sign in with `PASSWORD`."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop

    @property
    def url(self) -> str:
        """Where the pages are."""
        return self._site.url

    @property
    def analytics(self) -> FakeAnalytics:
        """What invents the numbers."""
        return self._site.analytics

    def sign_up(self, name: str, *roles: Role) -> str:
        """Make an account that holds `roles`; return its address."""
        address = f"{name}@{MEMBERS}"
        with Client(self.url) as client:
            client.signup(address, PASSWORD)
        for role in roles:
            self._run(self._site.staff.grant(address, role))
        return address

    @property
    def retention(self) -> FakeRetention:
        """What stands in the place of retention."""
        return self._site.retention

    def bill(self, billing: FakeBilling) -> None:
        """Let `billing` answer for the service billing, which the site has none of otherwise."""
        state = self._site.app.app.state
        state.peers = replace(state.peers, billing=cast(Any, billing))

    def deliver(self, address: str, raw: bytes, subject: str) -> None:
        """Put a mail into a mailbox as ingest does."""
        self._run(self._site.deliver(address, raw, subject))

    def announce(self, account_id: str, version: int) -> None:
        """Note that the account was told of a version of the policy, as retention does."""
        now = unix_seconds(SystemClock())
        marking = Marking(version, now, now + 30 * _DAY, now + 210 * _DAY)
        self._run(self._site.notices.mark(marking, [account_id]))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)


@contextmanager
def installation(home: Path) -> Iterator[Installation]:
    """Run one with its data in `home`."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_SECONDS)

    try:
        site = run(stack.enter_async_context(running_site(home, web=DIST, requests_per_minute=10_000)))
        try:
            yield Installation(site, loop)
        finally:
            run(stack.aclose())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SECONDS)
        loop.close()
