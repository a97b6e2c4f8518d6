"""`make run`: NATS and one process for each service, ready or stopped with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from libs.events.server_config import NatsServer, server_config
from libs.local import plan
from libs.local.backup import MARKER
from libs.local.settings import LocalError, LocalSettings, clean_environment
from libs.local.supervisor import Program, Supervisor
from libs.rpc.devca import ensure_dev_ca
from libs.runtime.clock import SystemClock
from libs.runtime.secret import Secret

_NEEDED_BYTES = 256 * 1024**2
_PROBE_SECONDS = 1.0
_READY_SECONDS, _REPLAY_SECONDS = 40.0, 3600.0
# Who erases again after a restore.
_KEEPER = "retention"


class Platform:
    """Everything that `make run` starts."""

    def __init__(self, settings: LocalSettings, tell: Callable[[str], None]) -> None:
        """Take the settings and where progress is told."""
        self._settings = settings
        self._tell = tell
        self.names = plan.in_order(plan.calls_table())
        self.supervisor = Supervisor(SystemClock(), tell)
        self._passwords: dict[str, Secret[str]] = {}
        self.addresses = plan.make_addresses(self.names, settings)

    async def start(self) -> None:
        """Prepare and start everything; LocalError says what to do if that cannot be."""
        await asyncio.to_thread(self._prepare)
        await self._launch(self._nats())
        # Side by side, which shortens the wait; nobody before those that it calls.
        table = plan.calls_table()
        if self._replays():
            # Nobody comes in by the MX either before who was erased is erased again.
            table["ingest"] = [*table["ingest"], _KEEPER]
        waiting = list(self.names)
        while waiting:
            next_ones = [name for name in waiting if not set(table[name]) & set(waiting)]
            if not next_ones:
                # Who calls one another finds the other when he calls: one of them begins.
                next_ones = waiting[:1]
            await asyncio.gather(*(self._launch(self._service(name)) for name in next_ones))
            waiting = [name for name in waiting if name not in next_ones]

    async def stop(self) -> None:
        """Stop everything in reverse."""
        await self.supervisor.stop()
        # Where the home could not be made, there is nothing to take away, and the reason has been told.
        with contextlib.suppress(NotADirectoryError, PermissionError):
            (self._settings.home / "pids.json").unlink(missing_ok=True)

    def write_pids(self) -> None:
        """Leave the process ids where tests and operators find them."""
        # Replaced as a whole, for somebody may be reading it.
        new = self._settings.home / "pids.json.new"
        new.write_text(json.dumps(self.supervisor.pids()), encoding="utf-8")
        new.replace(self._settings.home / "pids.json")

    def _replays(self) -> bool:
        """Tell whether a backup was brought back, so that erasures are replayed at this start."""
        return (self._settings.home / MARKER).exists()

    async def _launch(self, program: Program) -> None:
        # A long register takes its time.
        seconds = _REPLAY_SECONDS if program.name == _KEEPER and self._replays() else _READY_SECONDS
        try:
            await self.supervisor.start(program, seconds)
        except TimeoutError as late:
            raise LocalError(f"{program.name} did not become ready; see {program.log}") from late

    def _prepare(self) -> None:
        settings = self._settings
        plan.require_policy(settings)
        for edge in ("http", "smtp", "submission", "submissions"):
            plan.require_free(getattr(settings, f"{edge}_port"), settings.host, f"SEALPOST_{edge.upper()}_PORT")
        try:
            settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(settings.home).free
            if free < _NEEDED_BYTES:
                raise LocalError(f"{settings.home} has {free // 1024**2} MB free; 256 MB are needed.")
            ensure_dev_ca(settings.tls, [*self.names, "nats", "smtp"])
            self._passwords = plan.prepare_secrets(settings)
        except OSError as failure:
            raise LocalError(f"{settings.home} cannot be written: {failure.strerror}. Set SEALPOST_HOME.") from failure

    def _nats(self) -> Program:
        settings = self._settings
        store = settings.data / "nats"
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = settings.home / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(
            server_config(
                NatsServer(
                    port=self.addresses.nats_port,
                    monitor_port=self.addresses.nats_monitor_port,
                    store_dir=store,
                    tls_dir=settings.tls / "nats",
                    passwords=self._passwords,
                )
            ),
            encoding="utf-8",
        )
        server = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        url = f"http://127.0.0.1:{self.addresses.nats_monitor_port}/healthz"
        log = settings.logs / "nats.log"
        return Program("nats", [server, "-c", str(config)], clean_environment(), log, lambda: _answers(url))

    def _service(self, name: str) -> Program:
        url = f"http://{self.addresses.metrics[name]}/readyz"
        return Program(
            name,
            plan.command(name),
            plan.environment(name, self._settings, self.addresses),
            self._settings.logs / f"{name}.log",
            lambda: _answers(url),
        )


async def _answers(url: str) -> bool:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return await asyncio.to_thread(ask)


async def run(settings: LocalSettings, on_ready: Callable[[Platform], None], tell: Callable[[str], None]) -> None:
    """Start the platform, call `on_ready`, and stop it at SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    platform = Platform(settings, tell)
    starting = asyncio.create_task(platform.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            platform.write_pids()
            on_ready(platform)
            keeper = asyncio.create_task(_keep(platform))
            await stop.wait()
            keeper.cancel()
        tell("stopping")
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, LocalError):
            await starting
        await platform.stop()


async def _keep(platform: Platform) -> None:
    logs = asyncio.create_task(platform.supervisor.watch_logs())
    try:
        while True:
            platform.write_pids()
            await asyncio.sleep(0.5)
    finally:
        logs.cancel()
