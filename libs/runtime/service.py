"""The one runner: a service says what it is made of, everything that all processes have in common stands here.

Start: settings, telemetry, probes, the service's own `build`, the gRPC server, readiness. Stop (SIGTERM, SIGINT, or a
background task that fails) is the same in reverse, because everything hangs on one AsyncExitStack: readiness off, no
new calls, calls under way finished, then whatever `build` opened, last opened first. The whole of it is bounded in
time. Exit codes: 0 asked to stop and did, 1 failed, 2 wrong settings or arguments.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TextIO, TypeVar

import uvloop

from libs.runtime import loop_lag
from libs.runtime.clock import SystemClock
from libs.runtime.context import Parts, ServiceContext, Stop
from libs.runtime.health import Health
from libs.runtime.probes import Probes
from libs.runtime.settings import CommonSettings, SettingsError, describe, listen_address, load
from libs.telemetry import foreign, logs, metrics, mode, traces

S = TypeVar("S", bound=CommonSettings)
Build = Callable[[ServiceContext[S]], Awaitable[None]]

__all__ = ["ServiceContext", "run_service"]

_FAILED = 1
_MISUSED = 2
# What closing files, flushing traces and the like may take on top of the drain itself.
_CLOSING_SECONDS = 5.0

log = logs.get_logger("process")


def run_service(name: str, settings_cls: type[S], build: Build[S]) -> None:
    """Run service `name` until it is told to stop, then exit the process.

    `build` gets the context and makes the object graph: opens stores, adds servicers and health checks, spawns tasks.
    It returns when the service may take calls. Raises SystemExit, always.
    """
    settings = _settings(name, settings_cls, sys.argv[1:])
    # A crash must not put onto a disk what is in memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mode.set_strict(False)
    logs.configure(logs.Output(service=name, trace_id=traces.current_id if settings.otlp_endpoint else None))
    foreign.install()
    stderr = foreign.seal_stderr()
    metrics.add_process_metrics()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_live(name, settings, build, stderr))
    sys.exit(code)


def _settings(name: str, settings_cls: type[S], arguments: list[str]) -> S:
    if arguments in (["--help"], ["-h"]):
        print(f"python -m services.{name}.main\n\nSettings are read from the environment:\n\n{describe(settings_cls)}")
        sys.exit(0)
    if arguments:
        print(f"{name} takes no arguments but --help", file=sys.stderr)
        sys.exit(_MISUSED)
    try:
        return load(settings_cls, os.environ)
    except SettingsError as error:
        _print_faults(name, error, sys.stderr)
        sys.exit(_MISUSED)


def _print_faults(name: str, error: SettingsError, stderr: TextIO) -> None:
    faults = "".join(f"  {fault}\n" for fault in error.faults)
    print(f"{name} cannot start, its settings are wrong:\n{faults}--help lists all of them", file=stderr)


async def _live(name: str, settings: S, build: Build[S], stderr: TextIO) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unhandled)
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.signalled, number)
    clock = SystemClock()
    parts = Parts(clock, AsyncExitStack(), Health(clock, log), stop)
    context = ServiceContext(name, settings, parts)
    try:
        async with stop.starting():
            await _start(context, build)
        await stop.wait()
    except SettingsError as error:
        _print_faults(name, error, stderr)
        stop.request(_MISUSED)
    except Exception as error:  # the process ends, and says why
        if not (isinstance(error, TimeoutError) and stop.requested):
            log.error("start_failed", error=error)
            stop.request(_FAILED)
    return await _close(context.stack, stop, settings.drain_seconds)


async def _start(context: ServiceContext[S], build: Build[S]) -> None:
    settings, stack, clock = context.settings, context.stack, context.clock
    began = clock.monotonic()
    log.info("starting", pid=os.getpid())
    stack.push_async_callback(asyncio.to_thread, traces.setup(context.name, settings.otlp_endpoint))
    if settings.metrics_address:
        host, port = listen_address("SEALPOST_METRICS_ADDRESS", settings.metrics_address)
        probes = await stack.enter_async_context(Probes(host, port, context.health))
        log.info("listening", listener="metrics", port=probes.port)
    context.spawn("loop_lag", loop_lag.watch())
    await build(context)
    if settings.grpc_address:
        await context.server.start()
        stack.push_async_callback(context.server.stop, settings.drain_seconds)
        log.info("listening", listener="grpc", port=context.server.port)
    context.health.started()
    stack.callback(context.health.stopping)
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    log.info("ready", seconds=round(clock.monotonic() - began, 3))


async def _close(stack: AsyncExitStack, stop: Stop, drain_seconds: float) -> int:
    log.info("stopping")
    seconds = drain_seconds + _CLOSING_SECONDS
    # The last resort against what no event loop can interrupt: a blocking call, a thread that the interpreter joins.
    watchdog = threading.Timer(seconds + _CLOSING_SECONDS, _give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        async with stop.closing(seconds) as limit:
            await stack.aclose()
    except Exception as error:  # the process ends, and says why
        stop.request(_FAILED)
        if limit.expired():
            _give_up()
        log.error("stop_failed", error=error)
    log.info("stopped", exit_code=stop.exit_code)
    return stop.exit_code


def _give_up() -> None:
    """End here and now. Nothing that was promised is lost by it: whatever survives a crash survives this."""
    log.error("stop_cut_short", exit_code=_FAILED)
    os._exit(_FAILED)


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        log.error("unhandled_in_loop", error=error)
    else:
        log.error("unhandled_in_loop")
