"""What plans allow, where the installation has billing: operations of programs, mails sent, the room of mailboxes; and
whether a bill is late.

A page that its owner looks at is not metered; what a program does with a key is an operation. Without billing, or while
nobody knows the plan, the other limits of the platform are the only ones, but nothing is sent on credit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from libs.allowance import API_OPERATIONS, SENDS, UNSAID, Account, Allowances, Limits
from libs.runtime.errors import SealpostError, UnavailableError
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from services.gateway.http import models, translate
from services.gateway.peers import Peers

_QUICKLY_SECONDS = 0.5


def account_of(account_id: str, profile: common_pb2.Profile.ValueType, mailbox_id: str = "") -> Account:
    """Return whose use it is."""
    return Account(account_id, common_pb2.Profile.Name(profile).removeprefix("PROFILE_").lower(), mailbox_id)


async def count_operation(request: Request, account: Account) -> None:
    """Count an operation of a program. Raises: ExhaustedError("allowance_used" | "plan_lacks")."""
    allowances = _of(request)
    if allowances is not None:
        await allowances.allow(account, API_OPERATIONS, open_=True)


@dataclass
class Sends:
    """Mails that are counted. `repeated`: they were sent, and counted, before."""

    repeated: bool = False


@asynccontextmanager
async def counted_sends(request: Request, account: Account, recipients: int) -> AsyncIterator[Sends]:
    """Count mails that are sent in the block, unless it says that they are not, or were before.

    Raises: ExhaustedError("allowance_used" | "plan_lacks" | "read_only"), UnavailableError.
    """
    sends, allowances = Sends(), _of(request)
    if allowances is None:
        yield sends
        return
    await allowances.allow(account, SENDS, recipients)
    try:
        yield sends
    except SealpostError as error:
        if not isinstance(error, UnavailableError):
            allowances.give_back(account, SENDS, recipients)
        raise
    if sends.repeated:
        allowances.give_back(account, SENDS, recipients)


async def room_of(request: Request, account: Account, otherwise: int) -> int:
    """Return how many bytes a mailbox may hold, 0 for any number; `otherwise` where there are no plans."""
    allowances = _of(request)
    limits = await allowances.limits(account) if allowances is not None else None
    return otherwise if limits is None else _room(limits, otherwise)


async def as_planned(request: Request, found: accounts_pb2.Account) -> models.AccountOut:
    """Return an account as its owner sees it: with the room of his plan, and whether a bill is late.

    Where nobody can tell that at once, it is left out: whoever signs in does not wait for it.
    """
    shown = translate.account(found)
    limits = await _at_once(request, account_of(found.account_id, found.profile))
    if limits is not None:
        shown.account.quota_bytes = _room(limits, found.quota_bytes)
        if limits.read_only or limits.grace_until:
            until = translate.at_or_never(limits.grace_until)
            shown.account.owing = models.Owing(read_only=limits.read_only, until=until)
    return shown


async def shown_room(request: Request, account: Account, otherwise: int) -> int:
    """Return the room of a mailbox for its owner to see; `otherwise` where nobody can tell at once."""
    limits = await _at_once(request, account)
    return otherwise if limits is None else _room(limits, otherwise)


async def _at_once(request: Request, account: Account) -> Limits | None:
    allowances = _of(request)
    try:
        async with asyncio.timeout(_QUICKLY_SECONDS):
            return await allowances.limits(account) if allowances is not None else None
    except TimeoutError:
        return None


def _room(limits: Limits, otherwise: int) -> int:
    return otherwise if limits.storage_bytes == UNSAID else max(0, limits.storage_bytes)


def _of(request: Request) -> Allowances | None:
    peers: Peers = request.app.state.peers
    return peers.allowances
