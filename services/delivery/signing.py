"""Signs mail with the keys of the service crypto: Ed25519 (RFC 8463) and RSA (RFC 6376), in this order.

A mail is hashed here and its digests are signed there, the digests of all mails under way in one batch: a call costs
more than a signature. Large mails are hashed in a thread, block by block, so that nobody else waits for them. Which
keys a domain has is remembered for minutes; keys that are gone by then are asked for again, once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InternalError, NotFoundError, UnavailableError, from_code
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc
from services.delivery.dkim_fields import BodyHashes, Digested, Key, digest, header_digest, signed_field, unsigned_field

KEYS_SECONDS = 300.0

_KEYS_TIMEOUT = 10.0
_SIGN_TIMEOUT = 20.0
_MAX_DOMAINS = 10_000
# Nobody waits at the other end of a mail's signature, and calls of twice the size are a tenth of all CPU of a mail.
_GATHER_SECONDS = 0.006
_INLINE_BYTES = 64 * 1024
_ORDER = {"ed25519-sha256": 0, "rsa-sha256": 1}

T = TypeVar("T")


class _Item(NamedTuple):
    """A mail: a digest for each selector."""

    domain: str
    digests: list[tuple[str, bytes]]


class DkimSigner:
    """domain.model.Signer with the service crypto. For one event loop."""

    def __init__(self, stub: crypto_pb2_grpc.CryptoAsyncStub, clock: Clock, keys_seconds: float = KEYS_SECONDS) -> None:
        """Remember the keys of a domain for `keys_seconds`."""
        self._stub = stub
        self._clock = clock
        self._keys_seconds = keys_seconds
        self._bodies = BodyHashes()
        self._keys: OrderedDict[str, tuple[float, tuple[Key, ...]]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[tuple[Key, ...]]] = {}
        # One call at a time carries more mails than two would, and costs them no time.
        self._batcher: Batcher[_Item, list[bytes]] = Batcher(
            self._sign,
            max_items=500,
            max_weight=1000,
            weigh=lambda one: len(one.digests),
            max_delay=_GATHER_SECONDS,
            concurrency=1,
            max_queued=20_000,
        )

    async def sign(self, content: bytes, domain: str) -> bytes:
        """Return `content` (as domain.prepare made it) with its DKIM-Signature fields in front.

        `domain` is in lower-case A-labels. Raises: SealpostError if crypto cannot sign now.
        """
        digested = await _aside(len(content), lambda: digest(content, self._bodies))
        try:
            fields = await self._fields(digested, domain)
        except NotFoundError:
            # The keys were changed meanwhile.
            self._keys.pop(domain, None)
            fields = await self._fields(digested, domain)
        return await _aside(len(content), lambda: b"".join((*fields, content)))

    async def rsa_key(self, domain: str, *, anew: bool = False) -> Key:
        """See forwards.sealing.Keys."""
        if anew:
            self._keys.pop(domain, None)
        for key in await self._keys_of(domain):
            if key.algorithm == "rsa-sha256":
                return key
        raise UnavailableError("dkim_keys_missing")

    async def sign_digest(self, domain: str, key: Key, digest: bytes) -> bytes:
        """See forwards.sealing.Keys."""
        (signature,) = await self._batcher.submit(_Item(domain, [(key.selector, digest)]))
        return signature

    async def close(self) -> None:
        """Finish what is under way."""
        for task in list(self._asking.values()):
            task.cancel()
        await self._batcher.close()

    async def _fields(self, digested: Digested, domain: str) -> list[bytes]:
        now = unix_seconds(self._clock)
        keys = await self._keys_of(domain)
        unsigned = [unsigned_field(digested, domain, key, now) for key in keys]
        digests = [(key.selector, header_digest(digested, field)) for key, field in zip(keys, unsigned, strict=True)]
        signatures = await self._batcher.submit(_Item(domain, digests))
        return [signed_field(field, signature) for field, signature in zip(unsigned, signatures, strict=True)]

    async def _keys_of(self, domain: str) -> tuple[Key, ...]:
        known = self._keys.get(domain)
        if known is not None and known[0] > self._clock.monotonic():
            return known[1]
        task = self._asking.get(domain)
        if task is None:
            # Shared by all who wait for it, so none of them may take it along when it is cancelled.
            task = self._asking[domain] = asyncio.create_task(self._ask(domain))
            task.add_done_callback(lambda done: _forget(self._asking, domain, done))
        return await asyncio.shield(task)

    async def _ask(self, domain: str) -> tuple[Key, ...]:
        response = await self._stub.EnsureDkimKeys(crypto_pb2.DkimDomainRequest(domain=domain), timeout=_KEYS_TIMEOUT)
        named = [Key(key.selector, key.algorithm) for key in response.keys if key.algorithm in _ORDER]
        keys = tuple(sorted(named, key=lambda key: _ORDER[key.algorithm]))
        if not keys:
            raise UnavailableError("dkim_keys_missing")
        self._keys[domain] = (self._clock.monotonic() + self._keys_seconds, keys)
        self._keys.move_to_end(domain)
        if len(self._keys) > _MAX_DOMAINS:
            self._keys.popitem(last=False)
        return keys

    async def _sign(self, items: Sequence[_Item]) -> Sequence[list[bytes] | Exception]:
        request = crypto_pb2.SignDkimRequest(
            items=[
                crypto_pb2.SignDkimItem(domain=one.domain, selector=selector, digest=made)
                for one in items
                for selector, made in one.digests
            ]
        )
        response = await self._stub.SignDkim(request, timeout=_SIGN_TIMEOUT)
        if len(response.results) != len(request.items):
            raise InternalError("batch_results")
        results = iter(response.results)
        return [_signatures([next(results) for _ in one.digests]) for one in items]


def _signatures(results: Sequence[crypto_pb2.SignDkimResult]) -> list[bytes] | Exception:
    for result in results:
        if not result.HasField("signature"):
            return from_code(result.failure.code, result.failure.reason)
    return [result.signature for result in results]


async def _aside(size: int, work: Callable[[], T]) -> T:
    """Return what `work` does, in a thread where it would keep others waiting."""
    return work() if size <= _INLINE_BYTES else await asyncio.to_thread(work)


def _forget(asking: dict[str, asyncio.Task[tuple[Key, ...]]], domain: str, done: asyncio.Task[tuple[Key, ...]]) -> None:
    asking.pop(domain, None)
    if not done.cancelled():
        # Whoever waited has it; where nobody waits any more it is not to be reported as lost.
        done.exception()
