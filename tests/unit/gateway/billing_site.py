"""A gateway whose client is signed in, before a fake of billing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from protos.accounts.v1 import accounts_pb2
from tests.support.fake_billing import FakeBilling
from tests.unit.gateway.fakes import FakeAccounts, Gateway, gateway

ADA, EVE = "c" * 32, "e" * 32
ID = "d" * 32


@dataclass
class Accounts(FakeAccounts):
    """The session is that of `account_id`, who holds `role`."""

    account_id: str = ADA
    role: str = ""

    async def Authenticate(self, request: accounts_pb2.AuthenticateRequest, timeout: float) -> accounts_pb2.Principal:
        found = await super().Authenticate(request, timeout)
        found.account_id = self.account_id
        found.roles.extend([self.role] if self.role else [])
        return found


@dataclass
class Site:
    """A gateway and the fakes behind it."""

    gateway: Gateway
    accounts: Accounts
    billing: FakeBilling

    async def ask(self, method: str, path: str, form: Any = None, status: int = 200) -> Any:
        """Return the JSON of the answer, which has this status."""
        answer = await self.gateway.client.request(method, path, json=form)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, form: Any, status: int) -> str:
        """Return the word of the refusal."""
        return str((await self.ask(method, path, form, status))["reason"])

    def last(self, name: str) -> Any:
        """Return the last request of an RPC."""
        return next(request for called, request in reversed(self.billing.asked) if called == name)

    async def without_billing(self) -> None:
        """Take billing away."""
        state = cast(Any, self.gateway.app).app.state
        state.peers = replace(state.peers, billing=None)


@asynccontextmanager
async def billed(directory: Path) -> AsyncIterator[Site]:
    """Give a gateway whose client is signed in as ADA."""
    async with gateway(directory) as made:
        accounts, billing = Accounts(), FakeBilling()
        state = cast(Any, made.app).app.state
        state.peers = replace(state.peers, accounts=cast(Any, accounts), billing=cast(Any, billing))
        made.sign_in()
        yield Site(made, accounts, billing)


def answering(answer: Any) -> Any:
    """Return an RPC that answers this."""

    async def call(request: Any, timeout: float = 0.0) -> Any:
        return answer

    return call
