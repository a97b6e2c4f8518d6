"""Puts our ARC set in front of a mail, with the RSA key of the forwarding account's domain, which crypto keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from libs.mail.verdict import Verdict
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError
from services.delivery.dkim_fields import BodyHashes, Key
from services.delivery.forwards import arc_fields
from services.delivery.forwards.arc_fields import Chain, Link

_INLINE_BYTES = 64 * 1024

T = TypeVar("T")


class Keys(Protocol):
    """Signs with the keys of domains."""

    async def rsa_key(self, domain: str, *, anew: bool = False) -> Key:
        """Return which RSA key a domain signs with, asked for again if `anew`. Raises: SealpostError."""

    async def sign_digest(self, domain: str, key: Key, digest: bytes) -> bytes:
        """Return the signature over a SHA-256. Raises: NotFoundError where the key is gone, SealpostError."""


class ArcSealer:
    """Seals copies."""

    def __init__(self, keys: Keys, authserv_id: str, clock: Clock) -> None:
        """Take who signs, and the id under which our MX tells its results."""
        self._keys = keys
        self._authserv_id = authserv_id
        self._clock = clock
        self._bodies = BodyHashes()

    async def seal(self, content: bytes, domain: str, verdict: Verdict) -> bytes:
        """Return a mail with our set in front, or as it is where none may be added.

        Raises: SealpostError if crypto cannot sign now; the copy then waits.
        """
        chain = await _aside(len(content), lambda: arc_fields.read_chain(content, verdict.arc, self._bodies))
        if chain is None:
            return content
        try:
            made = await self._set(chain, domain, verdict, anew=False)
        except NotFoundError:
            # The keys were changed meanwhile.
            made = await self._set(chain, domain, verdict, anew=True)
        return b"".join((made, content))

    async def _set(self, chain: Chain, domain: str, verdict: Verdict, *, anew: bool) -> bytes:
        key = await self._keys.rsa_key(domain, anew=anew)
        link = Link(domain, key.selector, self._authserv_id, unix_seconds(self._clock))
        results = arc_fields.results_field(chain, link, verdict.results)
        value, digest = arc_fields.unsigned_message_field(chain, link)
        signature = await self._keys.sign_digest(domain, key, digest)
        message = arc_fields.signed(b"ARC-Message-Signature", value, signature)
        value, digest = arc_fields.unsigned_seal(chain, link, (results, message))
        seal = arc_fields.signed(b"ARC-Seal", value, await self._keys.sign_digest(domain, key, digest))
        return b"".join(name + b":" + value for name, value in (seal, message, results))


async def _aside(size: int, work: Callable[[], T]) -> T:
    """Return what `work` does, in a thread where it would keep others waiting."""
    return work() if size <= _INLINE_BYTES else await asyncio.to_thread(work)
