"""Streams and bodies called directly: whatever ends the call gives back what it held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Message

from libs.runtime.errors import ExhaustedError, NotFoundError, UnavailableError
from services.gateway.http.bodies import Bodies, OpenedBody, SealedBody
from services.gateway.http.caller import Caller, still_valid
from services.gateway.http.events import EventStream, Pace
from services.gateway.http.guard import ABORT, CLIENT, ClientGoneError
from services.gateway.http.limits import Limits
from tests.unit.gateway.fakes import MESSAGE, Gateway, stored_message

MAILBOX = "a" * 32
Send = Callable[[Message], Awaitable[None]]


def limits_of(site: Gateway) -> Limits:
    return site.app.limits


def bodies_of(site: Gateway) -> Bodies:
    bodies: Bodies = site.app.app.state.bodies
    return bodies


async def always() -> bool:
    return True


def stream(site: Gateway, check: Callable[[], Awaitable[bool]] = always, seconds: float = 0.02) -> EventStream:
    return EventStream(site.hub, limits_of(site), MAILBOX, Pace(seconds, seconds, check))


def scope(aborted: list[str] | None = None) -> dict[str, Any]:
    extensions = {ABORT: {"abort": lambda: aborted.append("aborted") if aborted is not None else None}}
    return {"type": "http", CLIENT: "192.0.2.1", "extensions": extensions}


async def stays() -> Message:
    """The client stays and says nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def leaves() -> Message:
    """The client has gone already."""
    return {"type": "http.disconnect"}


class Taken:
    """What was sent, by a client that reads everything."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def nothing_is_held(site: Gateway) -> bool:
    limits, bodies = limits_of(site), bodies_of(site)
    return not (len(limits.streams) or len(limits.downloads) or len(site.hub) or bodies.admission.held)


async def test_a_stream_that_is_never_called_holds_nothing(site: Gateway) -> None:
    stream(site)
    assert nothing_is_held(site)


async def broken(message: Message) -> None:
    raise OSError("connection lost")


async def blocked(message: Message) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("when", ["before the head", "in the middle"])
async def test_a_stream_that_is_cancelled_gives_its_place_back(site: Gateway, when: str) -> None:
    send: Send = blocked if when == "before the head" else Taken()
    call = asyncio.create_task(stream(site)(scope(), stays, send))
    await asyncio.sleep(0.05)
    assert len(limits_of(site).streams) == 1 and len(site.hub) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert nothing_is_held(site)


async def test_a_stream_whose_head_cannot_be_sent_gives_its_place_back(site: Gateway) -> None:
    with pytest.raises(OSError, match="lost"):
        await stream(site)(scope(), stays, broken)
    assert nothing_is_held(site)


async def test_a_stream_ends_when_its_client_has_gone(site: Gateway) -> None:
    async with asyncio.timeout(2):
        with suppress(ClientGoneError):
            await stream(site, seconds=30)(scope(), leaves, Taken())
    assert nothing_is_held(site)


async def test_a_client_that_takes_nothing_loses_the_connection(site: Gateway) -> None:
    aborted: list[str] = []
    taken = Taken()

    async def head_only(message: Message) -> None:
        await (taken if message["type"] == "http.response.start" else blocked)(message)

    site.storage.messages[MAILBOX] = [stored_message()]
    bodies = bodies_of(site)
    answers = (stream(site), SealedBody(bodies, MAILBOX, MESSAGE), OpenedBody(bodies, MAILBOX, stored_message()))
    for answer in answers:
        answer.stuck_seconds = 0.05
        with pytest.raises(ClientGoneError):
            await answer(scope(aborted), stays, head_only)
    assert aborted == ["aborted"] * 3
    assert nothing_is_held(site)


async def test_a_place_too_many_is_refused_before_anything_is_sent(site: Gateway) -> None:
    taken = Taken()
    calls = [asyncio.create_task(stream(site)(scope(), stays, Taken())) for _ in range(20)]
    await asyncio.sleep(0.05)
    with pytest.raises(ExhaustedError, match="too_many_at_once"):
        await stream(site)(scope(), stays, taken)
    assert taken.messages == []
    site.hub.close()
    await asyncio.gather(*calls)
    assert nothing_is_held(site)


async def test_a_stream_asks_now_and_then_and_ends_when_told_no(site: Gateway) -> None:
    asked = 0

    async def check() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3

    async with asyncio.timeout(5):
        await stream(site, check)(scope(), stays, Taken())
    assert asked == 3


async def test_looking_whether_a_session_lives_does_not_keep_it_alive(site: Gateway) -> None:
    peers = bodies_of(site).peers
    caller = Caller("c" * 32, MAILBOX, frozenset(), "s1", "token")
    assert await still_valid(peers, caller)
    assert not await still_valid(peers, Caller("c" * 32, MAILBOX, frozenset(), "s2", "token"))
    assert site.accounts.authenticated == 0
    site.accounts.list_error = UnavailableError("unreachable")
    assert await still_valid(peers, caller)
    site.accounts.list_error = NotFoundError("account_not_found")
    assert not await still_valid(peers, caller)


async def test_a_body_that_is_not_there_is_refused_before_anything_is_sent(site: Gateway) -> None:
    for body in (SealedBody(bodies_of(site), MAILBOX, MESSAGE), OpenedBody(bodies_of(site), MAILBOX, stored_message())):
        taken = Taken()
        with pytest.raises(NotFoundError):
            await body(scope(), stays, taken)
        assert taken.messages == []
    assert nothing_is_held(site)


async def test_a_body_goes_out_whole_in_pieces(site: Gateway) -> None:
    site.storage.messages[MAILBOX] = [stored_message(body_size=200_000)]
    site.storage.body, site.storage.block_bytes = b"sealed:" + b"x" * 199_993, 65_536
    taken = Taken()
    await SealedBody(bodies_of(site), MAILBOX, MESSAGE)(scope(), stays, taken)
    assert taken.body == site.storage.body
    assert (b"content-length", b"200000") in taken.messages[0]["headers"]
    opened = Taken()
    await OpenedBody(bodies_of(site), MAILBOX, stored_message())(scope(), stays, opened)
    assert opened.body == b"x" * 199_993 and len(opened.messages) == 2 + 4
    assert nothing_is_held(site)


async def test_a_client_that_leaves_ends_the_reading(site: Gateway) -> None:
    site.storage.messages[MAILBOX] = [stored_message(body_size=10_000_000)]
    site.storage.body, site.storage.block_bytes = b"x" * 10_000_000, 65_536
    taken = Taken()

    async def slow(message: Message) -> None:
        await asyncio.sleep(0)
        await taken(message)

    with pytest.raises(ClientGoneError):
        await SealedBody(bodies_of(site), MAILBOX, MESSAGE)(scope(), leaves, slow)
    assert len(taken.body) < 1_000_000
    assert nothing_is_held(site)
