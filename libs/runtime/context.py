"""What a service's `build` is given: its settings and the things of which every process has exactly one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime import cancelling
from libs.runtime.clock import Clock
from libs.runtime.health import Health
from libs.runtime.settings import CommonSettings, SettingsError
from libs.telemetry import logs

if TYPE_CHECKING:
    import grpc

    from libs.docstore.store import Collection, Store
    from libs.events.jetstream import EventBus
    from libs.policy import Policy
    from libs.telemetry.facts import Facts

S = TypeVar("S", bound=CommonSettings)

_log = logs.get_logger("process")


class Stop:
    """The wish that the process end, and with which exit code. The highest code asked for counts."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.exit_code = 0
        self._event = asyncio.Event()
        self._starting: asyncio.Timeout | None = None
        self._closing: asyncio.Timeout | None = None

    @property
    def requested(self) -> bool:
        """Whether somebody has asked."""
        return self._event.is_set()

    def request(self, exit_code: int) -> None:
        """Ask for a stop; a start under way is given up."""
        self.exit_code = max(self.exit_code, exit_code)
        self._event.set()
        _expire(self._starting)

    def signalled(self, number: signal.Signals) -> None:
        """Ask for a stop because of a signal; a second one cuts the closing short."""
        _log.info("signal", signal=number.name)
        if self._event.is_set():
            _expire(self._closing)
        self.request(0)

    async def wait(self) -> None:
        """Return when a stop has been asked for."""
        await self._event.wait()

    def starting(self) -> asyncio.Timeout:
        """Return the limit for the start, which expires with the first request."""
        self._starting = asyncio.timeout(0 if self._event.is_set() else None)
        return self._starting

    def closing(self, seconds: float) -> asyncio.Timeout:
        """Return the limit for the closing, which expires with another signal."""
        self._closing = asyncio.timeout(seconds)
        return self._closing


def _expire(limit: asyncio.Timeout | None) -> None:
    # A limit that has not been entered, or has been left, refuses a new time with a RuntimeError.
    if limit is not None and not limit.expired():
        with suppress(RuntimeError):
            limit.reschedule(asyncio.get_running_loop().time())


@dataclass(frozen=True)
class Parts:
    """What of a process exists before its context."""

    clock: Clock
    stack: AsyncExitStack
    health: Health
    stop: Stop


class ServiceContext(Generic[S]):
    """The process, as `build` sees it. Everything it opens is closed by `stack`, last opened first."""

    def __init__(self, name: str, settings: S, parts: Parts) -> None:
        """Made by run_service."""
        self.name = name
        self.settings = settings
        self.clock = parts.clock
        self.stack = parts.stack
        self.health = parts.health
        self.log = logs.get_logger(name)
        self.tls = TlsFiles(settings.tls_dir, clock=parts.clock)
        self._stop = parts.stop
        self._server: RpcServer | None = None
        self._store: Store | None = None
        self._bus: EventBus | None = None
        self._peers: dict[str, grpc.aio.Channel] = {}

    @property
    def server(self) -> RpcServer:
        """The gRPC server, to which `build` adds servicers; it starts after `build`.

        Raises SettingsError where the settings name no address for it.
        """
        if not self.settings.grpc_address:
            raise SettingsError(["SEALPOST_GRPC_ADDRESS: is required by this service"])
        if self._server is None:
            self._server = RpcServer(self.settings.grpc_address, self.tls, self.settings.callers)
        return self._server

    @property
    def policy(self) -> Policy:
        """The policy with the operator's overrides. Raises SettingsError where these are none or too weak."""
        from libs.policy import PolicyError, load_policy

        try:
            return load_policy(self.settings.policy_overrides)
        except PolicyError as error:
            raise SettingsError([f"SEALPOST_POLICY_OVERRIDES: {error}"]) from error

    @property
    def store(self) -> Store:
        """The store that `open_store` has opened."""
        if self._store is None:
            raise RuntimeError("open_store has not been called")
        return self._store

    def peer(self, name: str) -> grpc.aio.Channel:
        """Return the channel to service `name`; it connects at the first call. Raises SettingsError if not listed."""
        if name not in self._peers:
            if name not in self.settings.peers:
                raise SettingsError([f"SEALPOST_PEERS: no address for {name}"])
            channel = connect(name, self.settings.peers[name], self.tls)
            self.stack.push_async_callback(channel.close)
            self._peers[name] = channel
        return self._peers[name]

    async def open_store(self, collections: Sequence[Collection]) -> Store:
        """Open the store of the settings; the process is ready only while it answers. Once per process."""
        from libs.docstore import open_store  # a service without a store does not load the engines

        url = self.settings.store.reveal()
        if not url:
            raise SettingsError(["SEALPOST_STORE: is required by this service"])
        store = await open_store(url, self.name, collections)
        self.stack.push_async_callback(store.close)

        async def answers() -> bool:
            await store.get(collections[0], "health")
            return True

        self.health.add("store", answers)
        self._store = store
        return store

    async def connect_events(self) -> EventBus:
        """Connect to NATS, once. Its health is shown, but a service is ready without it: events wait in documents."""
        if self._bus is not None:
            return self._bus
        from libs.events.jetstream import EventBus  # a service without events does not load the NATS client

        settings = self.settings
        if not settings.nats_url:
            raise SettingsError(["SEALPOST_NATS_URL: is required by this service"])
        bus = await EventBus.connect(settings.nats_url, settings.nats_user, settings.nats_password, self.tls, self.name)
        self.stack.push_async_callback(bus.close)
        self.health.add("events", bus.healthy, required=False)
        self._bus = bus
        return bus

    async def open_facts(self, bus: EventBus | None = None) -> Facts:
        """Return the recorder of this process, whose facts go out over `bus` or the process' own connection.

        It costs nobody an error that NATS is away: facts are held for a while and then lost. Once per process.
        """
        from libs.events.facts import FactsPublisher
        from libs.telemetry.facts import Facts

        facts = Facts(self.clock)
        publisher = FactsPublisher(facts, bus or await self.connect_events(), self.clock)

        async def recorded() -> bool:
            return facts.ready

        self.health.add("facts", recorded, required=False)
        self.stack.push_async_callback(publisher.close)
        self.spawn("facts", publisher.run())
        return facts

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a task for the life of the process; it is cancelled at its place in the order of closing.

        If it fails the process stops with exit code 1; it may end by returning.
        """
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        cancelled = False

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                if not cancelled:
                    _log.error("task_cancelled", task=name)
                    self._stop.request(1)
            elif (error := task.exception()) is not None:
                _log.error("task_failed", task=name, error=error)
                self._stop.request(1)

        async def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            await cancelling.end([task])

        task.add_done_callback(ended)
        self.stack.push_async_callback(cancel)
