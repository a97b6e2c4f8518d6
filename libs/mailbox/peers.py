"""The services that ingest calls: gRPC behind the Protocols of the domain, batched across sessions.

One call costs about a millisecond of CPU on both sides together, whatever it carries, which is more than sealing and
storing a small mail. So recipients, copies to be sealed and deliveries of all sessions meet in one batcher each. While
a batch is under way the next one gathers; when nothing is under way nobody waits. One item's failure is that item's
alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from libs.mailbox.model import Copy, Delivery, Route, Sealed, SealTask, Standing
from libs.rpc.settling import SETTLE_SECONDS, settled
from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock
from libs.runtime.errors import from_code
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc
from protos.storage.v1 import storage_pb2, storage_pb2_grpc

Planned = Callable[[Route], Awaitable[Route]]

_MIB = 1024 * 1024
_RESOLVE_SECONDS = 5.0
_SEAL_SECONDS = 60.0
_APPEND_SECONDS = 60.0
_STAGE_SECONDS = 120.0
_STAGE_BLOCK = 256 * 1024
_ALONE_BYTES = 512 * 1024
# A copy is work for storage however small it is.
_COPY_WEIGHT = 4096
_MAX_ROUTES = 10_000

_PROFILES = {
    number: name.removeprefix("PROFILE_").lower()
    for name, number in common_pb2.Profile.items()
    if number != common_pb2.PROFILE_UNSPECIFIED
}
_STANDINGS = {
    accounts_pb2.Route.STATUS_OK: Standing.OK,
    accounts_pb2.Route.STATUS_NOT_OURS: Standing.NOT_OURS,
    accounts_pb2.Route.STATUS_UNKNOWN: Standing.UNKNOWN,
    accounts_pb2.Route.STATUS_SUSPENDED: Standing.SUSPENDED,
    accounts_pb2.Route.STATUS_INVALID: Standing.INVALID,
}


class AccountsClient:
    """domain.Accounts over gRPC, with a small memory: routes live for seconds, so a closed account is soon noticed."""

    def __init__(
        self,
        stub: accounts_pb2_grpc.AccountsAsyncStub,
        clock: Clock,
        known_seconds: float,
        unknown_seconds: float,
        planned: Planned | None = None,
    ) -> None:
        """Remember recipients that exist for `known_seconds`, all others for `unknown_seconds`.

        `planned` puts what the plan of its owner says into a route.
        """
        self._stub = stub
        self._planned = planned
        self._clock = clock
        self._seconds = {True: known_seconds, False: unknown_seconds}
        self._routes: OrderedDict[str, tuple[float, Route]] = OrderedDict()
        self._batcher: Batcher[str, Route] = Batcher(
            self._resolve, max_items=100, max_weight=100, weigh=_one, max_delay=0.0, concurrency=4, max_queued=5000
        )

    async def resolve(self, address: str) -> Route:
        """Return the route of one address. Raises SealpostError if accounts cannot tell."""
        now = self._clock.monotonic()
        known = self._routes.get(address)
        if known is not None and known[0] > now:
            return known[1]
        route = await self._batcher.submit(address)
        if self._planned is not None:
            route = await self._planned(route)
        self._routes[address] = (now + self._seconds[route.standing is Standing.OK], route)
        self._routes.move_to_end(address)
        if len(self._routes) > _MAX_ROUTES:
            self._routes.popitem(last=False)
        return route

    async def close(self) -> None:
        """Finish what is under way."""
        await self._batcher.close()

    async def _resolve(self, addresses: Sequence[str]) -> Sequence[Route | Exception]:
        response = await self._stub.Resolve(accounts_pb2.ResolveRequest(addresses=addresses), timeout=_RESOLVE_SECONDS)
        return [_route(route) for route in response.routes]


class CryptoClient:
    """domain.Crypto over gRPC."""

    def __init__(self, stub: crypto_pb2_grpc.CryptoAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub
        # One call at a time: what comes meanwhile makes the next batch larger, and the other workers keep crypto busy.
        self._batcher: Batcher[SealTask, Sealed] = Batcher(
            self._seal,
            max_items=64,
            max_weight=4 * _MIB,
            weigh=lambda task: len(task.body) + len(task.envelope),
            max_delay=0.0,
            concurrency=1,
            max_queued=256 * _MIB,
        )

    async def seal(self, task: SealTask) -> Sealed:
        """Seal one copy. Raises SealpostError; other copies are not affected."""
        if len(task.body) < _ALONE_BYTES:
            return await self._batcher.submit(task)
        # It gains nothing from company, and the small ones need not wait for it.
        (sealed,) = await self._seal([task])
        if isinstance(sealed, Exception):
            raise sealed
        return sealed

    async def close(self) -> None:
        """Finish what is under way."""
        await self._batcher.close()

    async def _seal(self, tasks: Sequence[SealTask]) -> Sequence[Sealed | Exception]:
        response = await self._stub.Seal(_seal_request(tasks), timeout=_SEAL_SECONDS)
        return [_sealed(result) for result in response.results]


class StorageClient:
    """domain.Storage over gRPC.

    A call that is cut off, because storage was killed for one, may have stored everything. The client could only be
    told to come again, and would then have the mail stored twice. So the same deliveries are sent once more, until
    storage is back and says how it is: what it has by these ids already it does not store again.
    """

    def __init__(self, stub: storage_pb2_grpc.StorageAsyncStub, settle_seconds: float = SETTLE_SECONDS) -> None:
        """Take the stub, and for how long an append that was cut off is repeated."""
        self._stub = stub
        self._settle_seconds = settle_seconds
        self._staging = asyncio.Semaphore(4)
        self._batcher: Batcher[Delivery, None] = Batcher(
            self._append,
            max_items=128,
            max_weight=8 * _MIB,
            weigh=_delivery_weight,
            max_delay=0.0,
            concurrency=1,
            max_queued=256 * _MIB,
        )

    async def stage(self, mailbox_id: str, message_id: str, body: bytes) -> None:
        """Bring a large sealed body ahead of its `append`. Raises SealpostError."""
        async with self._staging:
            await self._stub.Stage(_blocks(mailbox_id, message_id, body), timeout=_STAGE_SECONDS)

    async def append(self, delivery: Delivery) -> None:
        """Return when all copies are durable; see domain.Storage."""
        await self._batcher.submit(delivery)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._batcher.close()

    async def _append(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        request = storage_pb2.AppendRequest(
            deliveries=[
                storage_pb2.Delivery(delivery_id=one.delivery_id, messages=[_new_message(copy) for copy in one.copies])
                for one in deliveries
            ]
        )
        response = await settled(lambda: self._stub.Append(request, timeout=_APPEND_SECONDS), self._settle_seconds)
        return [_failure(result.failure) if result.HasField("failure") else None for result in response.results]


async def _blocks(mailbox_id: str, message_id: str, body: bytes) -> AsyncIterator[storage_pb2.StageBlock]:
    for start in range(0, len(body), _STAGE_BLOCK):
        block = storage_pb2.StageBlock(data=body[start : start + _STAGE_BLOCK])
        if start == 0:
            block.mailbox_id, block.message_id = mailbox_id, message_id
        yield block


def _one(_: str) -> int:
    return 1


def _delivery_weight(delivery: Delivery) -> int:
    return sum(_COPY_WEIGHT + len(copy.sealed.body) + len(copy.sealed.envelope) for copy in delivery.copies)


def _failure(failure: common_pb2.Failure) -> Exception:
    return from_code(failure.code, failure.reason)


def _route(route: accounts_pb2.Route) -> Route:
    return Route(
        standing=_STANDINGS.get(route.status, Standing.SUSPENDED),
        mailbox_id=route.mailbox_id,
        account_id=route.account_id,
        domain=route.domain,
        quota_bytes=route.quota_bytes,
        quota_messages=route.quota_messages,
        keep_newest=route.keep_newest,
        retention_seconds=route.retention_seconds,
        profile=_PROFILES.get(route.profile, ""),
        forward_to=tuple(route.forward_to),
        terms=route.terms,
    )


def _seal_request(tasks: Sequence[SealTask]) -> crypto_pb2.SealRequest:
    return crypto_pb2.SealRequest(items=[_seal_item(task) for task in tasks])


def _seal_item(task: SealTask) -> crypto_pb2.SealItem:
    if isinstance(task.owner, str):
        target = common_pb2.SealTarget(account_id=task.owner)
    else:
        day = task.owner
        target = common_pb2.SealTarget(
            public_day=common_pb2.PublicDay(domain=day.domain, day=day.day, destroy_after=day.destroy_after)
        )
    return crypto_pb2.SealItem(target=target, message_id=task.message_id, envelope=task.envelope, body=task.body)


def _sealed(result: crypto_pb2.SealResult) -> Sealed | Exception:
    if not result.HasField("sealed"):
        return _failure(result.failure)
    sealed = result.sealed
    return Sealed(sealed.envelope, sealed.body, sealed.scheme, sealed.key_id)


def _new_message(copy: Copy) -> storage_pb2.NewMessage:
    route, sealed = copy.route, copy.sealed
    return storage_pb2.NewMessage(
        mailbox_id=route.mailbox_id,
        message_id=copy.message_id,
        received_minute=copy.received_minute,
        size=copy.size,
        folder="inbox",
        expires_at=copy.expires_at,
        scheme=sealed.scheme,
        key_id=sealed.key_id,
        envelope=sealed.envelope,
        body=sealed.body,
        body_staged=copy.staged,
        quota_bytes=route.quota_bytes,
        quota_messages=route.quota_messages,
        keep_newest=route.keep_newest,
    )
