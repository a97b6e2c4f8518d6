"""What every call passes on the side of the server, wrapped around the handlers once, at registration.

gRPC's own interceptors run a coroutine and build a handler for every call; wrapping at registration costs nothing per
call but the checks themselves. The order is: who calls, may he, is there a deadline; then the handler; then the outcome
is counted and, if it failed, told by the table of libs.rpc.status. What a handler raises beside the tree is unknown: it
is logged by class and place, and the caller learns INTERNAL and nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, cast

import grpc

from libs.rpc import status, tracing
from libs.rpc.tls import INTERNAL_DOMAIN
from libs.runtime.errors import DeniedError, InternalError, InvalidError, SealpostError, UnauthenticatedError

_SAN = "x509_subject_alternative_name"
_INTERNAL = INTERNAL_DOMAIN.encode()

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]


class Observer(Protocol):
    """Where outcomes go: metrics and the log."""

    def declare(self, method: str) -> None:
        """Make `method` ("/package.Service/Method") known, before its first call."""

    def finished(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call of `method`.

        `outcome` is "ok", a code of the tree, "cancelled" (by the caller), or "aborted" (by the handler itself).
        """

    def failed(self, method: str, error: BaseException) -> None:
        """Log an exception that is not of the tree, without its text."""


@dataclass
class Rule:
    """Who may call a method, and whether it may be called without a deadline."""

    # None: whoever has a certificate of ours.
    callers: frozenset[str] | None
    deadline: bool = True


def caller_of(context: Context) -> str:
    """Return the name of the calling service, from the one `<name>.sealpost.internal` in its certificate.

    Raises:
        UnauthenticatedError: there is no such name in it, or more than one ("certificate").
    """
    # Without any SAN, gRPC would fall back to the common name.
    if context.peer_identity_key() != _SAN:
        raise UnauthenticatedError("certificate")
    names = [name for name in context.peer_identities() or () if name.endswith(_INTERNAL)]
    if len(names) != 1:
        raise UnauthenticatedError("certificate")
    return names[0][: -len(_INTERNAL)].decode("ascii", "replace")


@dataclass
class Guard:
    """Wraps the handlers of one server."""

    observer: Observer
    rules: dict[str, Rule] = field(default_factory=dict)

    def wrap(self, method: str, handler: Any, rule: Rule) -> Any:
        """Return the handler of `method` with everything around it; a TypeError for one that is not async."""
        self.rules[method] = rule
        self.observer.declare(method)
        attribute, make = _KINDS[handler.request_streaming, handler.response_streaming]
        behaviour = _as_coroutine(method, getattr(handler, attribute))

        async def call(request: Any, context: Context) -> Any:
            async with _Call(self, method, context):
                return await behaviour(request, context)

        return make(call, handler.request_deserializer, handler.response_serializer)

    def admit(self, method: str, context: Context) -> None:
        """Raise unless this caller may call this method, with a deadline."""
        rule = self.rules[method]
        caller = caller_of(context)
        if rule.callers is not None and caller not in rule.callers:
            raise DeniedError("caller")
        if rule.deadline and context.time_remaining() is None:
            raise InvalidError("deadline_missing")


class _Call:
    """One call under way: admitted on entry; counted, and its error told, on exit."""

    __slots__ = ("_context", "_guard", "_method", "_span", "_started")

    def __init__(self, guard: Guard, method: str, context: Context) -> None:
        self._guard = guard
        self._method = method
        self._context = context
        self._started = 0.0
        self._span: AbstractContextManager[None] | None = None

    async def __aenter__(self) -> None:
        self._started = perf_counter()
        try:
            self._guard.admit(self._method, self._context)
        except SealpostError as error:
            await self._refuse(error)
        self._span = tracing.served(self._method, self._context)
        if self._span is not None:
            self._span.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.__exit__(kind, error, trace)
        if error is None:
            self._finished("ok")
        elif isinstance(error, SealpostError):
            await self._refuse(error)
        elif isinstance(error, asyncio.CancelledError):
            self._finished("cancelled")
        elif isinstance(error, grpc.aio.AbortError):
            self._finished("aborted")
        elif isinstance(error, Exception):
            self._guard.observer.failed(self._method, error)
            await self._refuse(InternalError("internal"))

    async def _refuse(self, error: SealpostError) -> None:
        self._finished(error.code)
        reason = status.reason_of(error)
        await self._context.abort(status.status_of(error), reason, status.trailing_metadata(error))

    def _finished(self, outcome: str) -> None:
        self._guard.observer.finished(self._method, outcome, perf_counter() - self._started)


def _as_coroutine(method: str, behaviour: Any) -> Behaviour:
    """Turn a generator of responses into a coroutine that writes them: cancelled, it closes the generator at once."""
    if inspect.iscoroutinefunction(behaviour):
        return cast("Behaviour", behaviour)
    if not inspect.isasyncgenfunction(behaviour):
        # What a servicer leaves out is inherited from the generated class, and that is not async.
        if getattr(behaviour, "__module__", "").endswith("_pb2_grpc"):
            return _unimplemented
        raise TypeError(f"{method} is not async")

    async def write(request: Any, context: Context) -> None:
        responses: AsyncIterator[Any] = behaviour(request, context)
        async with aclosing(responses):  # type: ignore[type-var]
            async for response in responses:
                await context.write(response)

    return write


async def _unimplemented(_: Any, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "unimplemented")


# By (stream of requests, stream of responses).
_KINDS: dict[tuple[bool, bool], tuple[str, Any]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
