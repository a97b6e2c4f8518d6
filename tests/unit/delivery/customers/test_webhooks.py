"""Webhooks against real HTTPS servers: signed, tried again, switched off, replayed; none slows another."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from libs.docstore.sqlite import SqliteStore
from libs.net.http import GuardedHttp
from libs.runtime import cancelling
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.errors import ExhaustedError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.delivery.customers.dispatch import Dispatcher
from services.delivery.customers.events import EVENTS, Events
from services.delivery.customers.happenings import AllHappenings
from services.delivery.customers.posting import Poster
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.customers.suppressions import SUPPRESSIONS, Suppressions
from services.delivery.customers.webhook_records import POSTS, WEBHOOKS, Hook, WebhookRecords
from services.delivery.customers.webhooks import Webhooks
from services.delivery.domain.ports import Happening, Kind
from services.delivery.domain.webhooks import HookState, headers_of, pause_of, retry_after
from tests.support.clock import ManualClock
from tests.support.dns import serve_dns
from tests.support.https import Answer, HttpsServer, reply, serve_https
from tests.unit.delivery.customers.support import MARKS, VAULT, happening, opened
from tests.unit.delivery.keeping import TERMS

HOST = "hooks.example"
COLLECTIONS = (EVENTS, SUPPRESSIONS, STANDING, WEBHOOKS, POSTS)


class Desk:
    """One process that posts."""

    def __init__(self, store: SqliteStore, http: GuardedHttp, ports: tuple[int, ...], clock: Clock) -> None:
        self.clock = clock
        self.account = new_id()
        self.records = WebhookRecords(store, VAULT, TERMS)
        self.events = Events(store, MARKS, VAULT, clock, TERMS)
        self.dispatcher = Dispatcher(self.records, self.events, Poster(http, ports, clock), clock, poll=0.02)
        self.webhooks = Webhooks(self.records, MARKS, self.events, self.dispatcher, clock)
        self.standings = Standings(store, MARKS, VAULT, clock)
        suppressions = Suppressions(store, MARKS, clock)
        self.happenings = AllHappenings(store, self.events, suppressions, self.standings, self.webhooks)

    async def note(self, kind: Kind = Kind.DELIVERED, **more: object) -> Happening:
        """Have something happen now."""
        one = happening(kind, self.account, self.clock, **more)  # type: ignore[arg-type]
        await self.happenings.note([one])
        return one

    async def hook(self) -> Hook:
        """Return the account's only webhook."""
        (hook,) = await self.webhooks.list(self.account)
        return hook


@asynccontextmanager
async def desk_on(directory: Path, clock: Clock, *servers: HttpsServer) -> AsyncIterator[Desk]:
    """Give a desk whose dispatcher runs, and that may reach the servers."""
    async with AsyncExitStack() as stack:
        dns = stack.enter_context(serve_dns({(HOST, "A"): ["127.0.0.1"]}))
        store = await stack.enter_async_context(opened(directory, *COLLECTIONS))
        ports = tuple(server.port for server in servers) or (443,)
        http = GuardedHttp(
            resolvers=[dns.address],
            allowed_networks=("127.0.0.1/32",),
            ports=ports,
            ca_file=servers[0].ca_file if servers else "",
        )
        desk = Desk(store, await stack.enter_async_context(http), ports, clock)
        stack.push_async_callback(desk.standings.close)
        running = asyncio.create_task(desk.dispatcher.run())
        stack.push_async_callback(cancelling.end, [running])
        yield desk


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Return once something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is another program's doing
            await asyncio.sleep(0.01)


async def until_state(desk: Desk, state: HookState) -> Hook:
    """Return the account's only webhook once it stands so, and nothing is under way."""
    async with asyncio.timeout(10):
        while (hook := await desk.hook()).state is not state or desk.dispatcher.lanes:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    return hook


async def asked_for(server: HttpsServer, desk: Desk, count: int) -> None:
    """Return once the server has been asked so often, and nothing is under way."""
    await until(lambda: len(server.asked) >= count and not desk.dispatcher.lanes)
    assert len(server.asked) == count


def url(server: HttpsServer) -> str:
    return f"https://{HOST}:{server.port}/hook"


def switchable(status: list[int]) -> Answer:
    """Return an answer whose status is the last one in the list."""

    async def answer(asked: object, writer: asyncio.StreamWriter) -> None:
        await reply(status[-1])(asked, writer)  # type: ignore[arg-type]

    return answer


async def test_a_post_is_signed_as_standard_webhooks_has_it(tmp_path: Path) -> None:
    async with (
        serve_https(tmp_path, [HOST], reply(204)) as server,
        desk_on(tmp_path, SystemClock(), server) as desk,
    ):
        hook, secret = await desk.webhooks.put(desk.account, "", url(server), [])
        assert secret.startswith("whsec_")
        one = await desk.note(Kind.BOUNCED, status="5.1.1", campaign="spring")
        await until(lambda: server.asked)
        (asked,) = server.asked
        data = Webhook(secret).verify(asked.body, dict(asked.headers))
        assert data["type"] == "bounced"
        assert data["data"] == {
            "submission_id": one.submission_id,
            "recipient": "ben@there.test",
            "campaign": "spring",
            "status": "5.1.1",
        }
        assert (asked.method, asked.path, asked.headers["webhook-id"]) == ("POST", "/hook", one.event_id)
        for body, changed in ((asked.body + b" ", {}), (asked.body, {"webhook-id": "x"})):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, dict(asked.headers) | changed)
        await asked_for(server, desk, 1)
        assert await desk.records.next_due(hook.webhook_id) == 0
        assert (await desk.hook()).state is HookState.OK


def test_our_signature_is_that_of_the_reference() -> None:
    key = secrets.token_bytes(32)
    headers = headers_of("id", Secret(key), 1_800_000_000, b'{"a":1}')
    theirs = Webhook(base64.b64encode(key).decode()).sign("id", datetime.fromtimestamp(1_800_000_000, UTC), '{"a":1}')
    assert headers["webhook-signature"] == theirs


async def test_only_what_is_wanted_is_told_and_only_to_its_account(tmp_path: Path) -> None:
    async with (
        serve_https(tmp_path, [HOST], reply(200)) as server,
        desk_on(tmp_path, SystemClock(), server) as desk,
    ):
        await desk.webhooks.put(desk.account, "", url(server), ["bounced", "complained"])
        await desk.note(Kind.DELIVERED)
        await desk.happenings.note([happening(Kind.BOUNCED, new_id(), desk.clock)])  # type: ignore[arg-type]
        await desk.note(Kind.BOUNCED, status="5.1.1")
        await until(lambda: server.asked)
        await asyncio.sleep(0.1)
        assert [json.loads(asked.body)["type"] for asked in server.asked] == ["bounced"]


async def test_it_is_tried_again_until_it_is_taken(tmp_path: Path) -> None:
    clock, status = ManualClock(), [500]
    async with (
        serve_https(tmp_path, [HOST], switchable(status)) as server,
        desk_on(tmp_path, clock, server) as desk,
    ):
        await desk.webhooks.put(desk.account, "", url(server), [])
        one = await desk.note()
        await asked_for(server, desk, 1)
        assert (await desk.hook()).state is HookState.FAILING
        clock.advance(6)
        await asked_for(server, desk, 2)
        status.append(302)
        clock.advance(minutes=7)
        await asked_for(server, desk, 3)
        status.append(200)
        clock.advance(hours=1)
        await asked_for(server, desk, 4)
        assert (await desk.hook()).state is HookState.OK
        assert {asked.headers["webhook-id"] for asked in server.asked} == {one.event_id}


async def test_a_post_is_given_up_after_its_attempts(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        serve_https(tmp_path, [HOST], reply(503)) as server,
        desk_on(tmp_path, clock, server) as desk,
    ):
        hook, _ = await desk.webhooks.put(desk.account, "", url(server), [])
        await desk.note()
        for attempt in range(1, 11):
            await asked_for(server, desk, attempt)
            due = max(await desk.records.next_due(hook.webhook_id), (await desk.hook()).wake)
            clock.advance(due - int(clock.now().timestamp()) if attempt < 10 else 0)
        assert await desk.records.next_due(hook.webhook_id) == 0
        assert (await desk.hook()).state is HookState.FAILING


async def test_it_is_switched_off_after_five_days_of_failures(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        serve_https(tmp_path, [HOST], reply(500)) as server,
        desk_on(tmp_path, clock, server) as desk,
    ):
        await desk.webhooks.put(desk.account, "", url(server), [])
        for day in range(1, 7):
            await desk.note()
            await asked_for(server, desk, day)
            clock.advance(days=1, hours=3)
        await until_state(desk, HookState.OFF)
        clock.advance(10)
        await desk.note()
        await asyncio.sleep(0.2)
        assert len(server.asked) == 6


async def test_gone_means_gone_and_switching_on_is_a_change(tmp_path: Path) -> None:
    clock, status = ManualClock(), [410]
    async with (
        serve_https(tmp_path, [HOST], switchable(status)) as server,
        desk_on(tmp_path, clock, server) as desk,
    ):
        hook, _ = await desk.webhooks.put(desk.account, "", url(server), [])
        await desk.note()
        await until_state(desk, HookState.OFF)
        status.append(200)
        changed, nothing = await desk.webhooks.put(desk.account, hook.webhook_id, url(server) + "2", ["delivered"])
        assert (changed.state, changed.url, nothing) == (HookState.OK, url(server) + "2", "")
        assert changed.secret.reveal() == hook.secret.reveal()
        clock.advance(10)
        one = await desk.note()
        await until(lambda: len(server.asked) == 2)
        assert (server.asked[1].path, server.asked[1].headers["webhook-id"]) == ("/hook2", one.event_id)


async def test_a_replay_tells_everything_since_then_once_more(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        serve_https(tmp_path, [HOST], reply(200)) as server,
        desk_on(tmp_path, clock, server) as desk,
    ):
        noted = []
        for _ in range(5):
            clock.advance(60)
            noted.append(await desk.note())
        hook, _ = await desk.webhooks.put(desk.account, "", url(server), [])
        assert await desk.webhooks.replay(desk.account, hook.webhook_id, noted[2].at) == 3
        await until(lambda: len(server.asked) == 3)
        assert {asked.headers["webhook-id"] for asked in server.asked} == {one.event_id for one in noted[2:]}
        assert await desk.webhooks.replay(desk.account, hook.webhook_id, -5) == 5
        await until(lambda: len(server.asked) == 8)
        with pytest.raises(NotFoundError, match="webhook"):
            await desk.webhooks.replay(new_id(), hook.webhook_id, 0)


async def test_a_slow_webhook_slows_nobody_else(tmp_path: Path) -> None:
    release, under_way = asyncio.Event(), [0, 0]

    async def slow(asked: object, writer: asyncio.StreamWriter) -> None:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await release.wait()
        under_way[0] -= 1
        await reply(200)(asked, writer)  # type: ignore[arg-type]

    async with (
        serve_https(tmp_path, [HOST], slow) as tarpit,
        serve_https(tmp_path, [HOST], reply(200)) as quick,
        desk_on(tmp_path, SystemClock(), tarpit, quick) as desk,
    ):
        await desk.webhooks.put(desk.account, "", url(tarpit), [])
        await desk.happenings.note([happening(Kind.DELIVERED, desk.account, desk.clock) for _ in range(50)])  # type: ignore[arg-type]
        await until(lambda: len(tarpit.asked) == 4)
        other = desk.account = new_id()
        await desk.webhooks.put(other, "", url(quick), [])
        await desk.happenings.note([happening(Kind.DELIVERED, other, desk.clock) for _ in range(50)])  # type: ignore[arg-type]
        await until(lambda: len(quick.asked) == 50, 5)
        assert len(tarpit.asked) == 4
        release.set()
        await until(lambda: len(tarpit.asked) == 50)
        assert under_way[1] <= 4


async def test_a_webhook_into_our_own_network_gets_nothing(tmp_path: Path) -> None:
    async with (
        serve_https(tmp_path, [HOST, "127.0.0.2"], reply(200)) as server,
        desk_on(tmp_path, SystemClock(), server) as desk,
    ):
        await desk.webhooks.put(desk.account, "", f"https://[::1]:{server.port}/", [])
        await desk.note()
        await until_state(desk, HookState.FAILING)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "url_invalid"),
        ("http://hooks.example/", "url_invalid"),
        ("https://user:word@hooks.example/", "url_invalid"),
        ("https://hooks.example/\r\nx: y", "url_invalid"),
        ("https://hooks.example:22/", "url_refused"),
        ("https://" + "a" * 3000 + ".example/", "url_invalid"),
    ],
)
async def test_urls_that_are_refused(tmp_path: Path, given: str, reason: str) -> None:
    async with desk_on(tmp_path, ManualClock()) as desk:
        with pytest.raises(InvalidError, match=reason):
            await desk.webhooks.put(desk.account, "", given, [])
        assert await desk.webhooks.list(desk.account) == []


async def test_webhooks_are_their_accounts_own_and_not_without_end(tmp_path: Path) -> None:
    async with desk_on(tmp_path, ManualClock()) as desk:
        hook, _ = await desk.webhooks.put(desk.account, "", "https://hooks.example/", ["delivered", "delivered"])
        assert hook.types == ("delivered",)
        for webhook_id in (hook.webhook_id, new_id(), "x/y"):
            with pytest.raises(NotFoundError, match="webhook"):
                await desk.webhooks.delete(new_id(), webhook_id)
            with pytest.raises(NotFoundError, match="webhook"):
                await desk.webhooks.put(new_id(), webhook_id, "https://hooks.example/", [])
        with pytest.raises(InvalidError, match="event_types"):
            await desk.webhooks.put(desk.account, "", "https://hooks.example/", ["opened"])
        for _ in range(9):
            await desk.webhooks.put(desk.account, "", "https://hooks.example/", [])
        with pytest.raises(ExhaustedError, match="too_many_webhooks"):
            await desk.webhooks.put(desk.account, "", "https://hooks.example/", [])
        await desk.webhooks.delete(desk.account, hook.webhook_id)
        assert hook.webhook_id not in {one.webhook_id for one in await desk.webhooks.list(desk.account)}


async def test_a_deleted_webhook_leaves_no_posts(tmp_path: Path) -> None:
    async with (
        serve_https(tmp_path, [HOST], reply(500)) as server,
        desk_on(tmp_path, ManualClock(), server) as desk,
    ):
        hook, _ = await desk.webhooks.put(desk.account, "", url(server), [])
        await desk.note()
        await until_state(desk, HookState.FAILING)
        await desk.webhooks.delete(desk.account, hook.webhook_id)
        assert await desk.records.next_due(hook.webhook_id) == 0


async def test_what_is_kept_names_neither_url_nor_secret_nor_recipient(tmp_path: Path) -> None:
    async with desk_on(tmp_path, ManualClock()) as desk:
        _, secret = await desk.webhooks.put(desk.account, "", "https://quagmire.example/path", [])
        await desk.note(recipient="zebedee@there.test")
    held = b"".join(path.read_bytes() for path in tmp_path.glob("delivery.db*"))
    for mark in ("quagmire", "zebedee", secret.removeprefix("whsec_")):
        assert mark.encode() not in held


def test_the_times_of_attempts() -> None:
    usual = (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
    for _ in range(100):
        for attempts, seconds in enumerate(usual, 1):
            assert round(0.9 * seconds) <= (retry_after(attempts) or 0) <= round(1.1 * seconds)
    assert retry_after(len(usual) + 1) is None
    assert [pause_of(seconds) for seconds in (0, 700, 86400)] == [60, 70, 3600]
