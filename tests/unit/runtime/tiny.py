"""The smallest service, run by test_service as a process of its own. Its settings choose how it misbehaves."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from libs.docstore.store import Collection
from libs.runtime.secret import Secret
from libs.runtime.service import ServiceContext, run_service
from libs.runtime.settings import CommonSettings, setting

THINGS = Collection("things")


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """What the tests turn."""

    mode: str = setting("", help="how to misbehave")
    key: Secret[bytes] = setting(help="a secret of the tests")


async def build(context: ServiceContext[Settings]) -> None:
    """Open a store if there is one, then do what the mode says."""
    if context.settings.store.reveal():
        await context.open_store([THINGS])
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
        case "close_fails":
            context.stack.push_async_callback(_fail)
        case "foreign":
            logging.getLogger("mail.log").error("canary text of a library")
            logging.getLogger("mail.log").info("canary text of a library")
            asyncio.get_running_loop().call_soon(_raise)
        case "peer_missing":
            context.peer("crypto")


async def _fail() -> None:
    await asyncio.sleep(0.05)
    raise RuntimeError("canary text of an exception")


def _raise() -> None:
    raise RuntimeError("canary text of an exception")


if __name__ == "__main__":
    run_service("tiny", Settings, build)
