"""The smallest service, run by test_service as a process of its own. Its settings choose how it misbehaves."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import grpc

from libs.docstore.store import Collection, Insert
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from libs.runtime.service import ServiceContext, run_service
from libs.runtime.settings import CommonSettings, setting

THINGS = Collection("things")


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """What the tests turn."""

    mode: str = setting("", help="how to misbehave")
    key: Secret[bytes] = setting(help="a secret of the tests")


class Tiny:
    """A servicer without a proto: bytes in, bytes out."""

    async def work(self, request: bytes, context: object) -> bytes:
        """Take as many seconds as asked for."""
        await asyncio.sleep(float(request))
        return b"done"


def register(servicer: Tiny, server: Any) -> None:
    """Do what generated code does."""
    server.add_registered_method_handlers("test.Tiny", {"Work": grpc.unary_unary_rpc_method_handler(servicer.work)})


async def build(context: ServiceContext[Settings]) -> None:
    """Open a store and the event bus if there are any, then do what the mode says."""
    context.log.info("building")
    if context.settings.store.reveal():
        await context.open_store([THINGS])
        await context.store.write(Insert(THINGS, new_id(), {"a": 1}))
    if context.settings.nats_url:
        await context.connect_events()
    if context.settings.grpc_address:
        context.server.add(register, Tiny(), "test.Tiny")
    context.stack.callback(context.log.info, "closing_last")
    match context.settings.mode:
        case "task_fails":
            context.spawn("doomed", _fail())
        case "task_runs":
            context.spawn("endless", asyncio.sleep(3600))
        case "build_fails":
            raise ValueError("canary text of an exception")
        case "build_hangs":
            await asyncio.sleep(3600)
        case "close_hangs":
            context.stack.push_async_callback(asyncio.sleep, 3600)
        case "thread_hangs":
            context.stack.push_async_callback(asyncio.to_thread, time.sleep, 3600)
        case "thread_stays":
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
        case "task_cancels_itself":
            context.spawn("odd", _cancel())
        case "server_missing":
            context.server.add(register, Tiny(), "test.Tiny")
        case "store_missing":
            await context.open_store([THINGS])
        case "events_missing":
            await context.connect_events()
        case "close_fails":
            context.stack.push_async_callback(_fail)
        case "foreign":
            logging.getLogger("mail.log").error("canary text of a library")
            logging.getLogger("mail.log").info("canary text of a library")
            asyncio.get_running_loop().call_soon(_raise)
            os.write(2, b"canary text of native code")
            print("canary text of a careless print", file=sys.stderr)
        case "crashes":
            ctypes.string_at(0)
        case "peer_missing":
            context.peer("crypto")


async def _fail() -> None:
    await asyncio.sleep(0.05)
    raise RuntimeError("canary text of an exception")


async def _cancel() -> None:
    raise asyncio.CancelledError


def _raise() -> None:
    raise RuntimeError("canary text of an exception")


if __name__ == "__main__":
    run_service("tiny", Settings, build)
