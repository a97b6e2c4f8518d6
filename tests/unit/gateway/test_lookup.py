"""Looking for certificates in the key directories of other domains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.net.http import Fetched
from libs.runtime.errors import InvalidError, UnavailableError
from services.gateway import lookup as lookup_module
from services.gateway.lookup import ABSENT_SECONDS, FOUND_SECONDS, KeyLookup
from tests.support.clock import ManualClock
from tests.unit.gateway.certificates import ADDRESS, key_of
from tests.unit.gateway.fake_http import FakeHttp

HASH = "qtgmukx58ikag7nqwxsqupgad8cozzzn"
ADVANCED = f"https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/{HASH}"
DIRECT = f"https://example.org/.well-known/openpgpkey/hu/{HASH}"
FOUND = Fetched(200, {}, key_of().certificate)
SILENT = UnavailableError("unreachable")


@pytest.fixture
def http() -> FakeHttp:
    return FakeHttp()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def lookup(http: FakeHttp, clock: ManualClock) -> AsyncIterator[KeyLookup]:
    made = KeyLookup(http, clock)
    yield made
    await made.aclose()


async def test_the_host_of_its_own_is_asked_first(http: FakeHttp, lookup: KeyLookup) -> None:
    http.answers = {ADVANCED: FOUND}
    found = await lookup.find(ADDRESS)
    assert found is not None and found.fingerprint == key_of().fingerprint
    assert http.asked == [ADVANCED + "?l=ann"]


@pytest.mark.parametrize("local", ["o'neil", "a+b", "ä", '"a b"', "a/b"])
async def test_the_local_part_goes_with_it_as_it_is(http: FakeHttp, lookup: KeyLookup, local: str) -> None:
    await lookup.find(f"{local}@Example.ORG")
    (asked,) = http.asked
    assert asked.startswith("https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/")
    assert set(asked.partition("?l=")[2]) & set("/ \"+&'") == set()


@pytest.mark.parametrize(
    "first",
    [SILENT, UnavailableError("tls"), UnavailableError("deadline"), InvalidError("url_refused"), Fetched(302, {}, b"")],
)
async def test_the_domain_itself_is_asked_where_there_is_no_such_host(
    http: FakeHttp, lookup: KeyLookup, first: Fetched | Exception
) -> None:
    http.answers = {ADVANCED: first, DIRECT: FOUND}
    assert await lookup.find(ADDRESS) is not None
    assert http.asked == [ADVANCED + "?l=ann", DIRECT + "?l=ann"]


async def test_not_found_is_an_answer(http: FakeHttp, lookup: KeyLookup) -> None:
    http.answers = {DIRECT: FOUND}
    assert await lookup.find(ADDRESS) is None
    assert http.asked == [ADVANCED + "?l=ann"]


@pytest.mark.parametrize("body", [b"", b"<!doctype html>", key_of("Eve <eve@evil.example>").certificate])
async def test_what_is_unusable_is_as_good_as_nothing(http: FakeHttp, lookup: KeyLookup, body: bytes) -> None:
    http.answers = {ADVANCED: Fetched(200, {}, body)}
    assert await lookup.find(ADDRESS) is None


async def test_what_was_found_is_kept_for_an_hour(http: FakeHttp, lookup: KeyLookup, clock: ManualClock) -> None:
    http.answers = {ADVANCED: FOUND}
    assert await lookup.find(ADDRESS) is not None
    clock.advance(FOUND_SECONDS - 1)
    assert await lookup.find("ann@EXAMPLE.org") is not None
    assert len(http.asked) == 1
    clock.advance(2)
    http.answers = {}
    assert await lookup.find(ADDRESS) is None
    assert len(http.asked) == 2


@pytest.mark.parametrize("otherwise", [Fetched(404, {}, b""), SILENT, Fetched(500, {}, b"")])
async def test_absence_and_every_fault_are_kept_for_ten_minutes(
    http: FakeHttp, lookup: KeyLookup, clock: ManualClock, otherwise: Fetched | Exception
) -> None:
    http.otherwise = otherwise
    assert await lookup.find(ADDRESS) is None
    asked = len(http.asked)
    clock.advance(ABSENT_SECONDS - 1)
    assert await lookup.find(ADDRESS) is None
    assert len(http.asked) == asked
    clock.advance(2)
    http.answers = {ADVANCED: FOUND}
    assert await lookup.find(ADDRESS) is not None


async def test_looking_twice_at_the_same_time_is_one_look(http: FakeHttp, lookup: KeyLookup) -> None:
    http.answers, http.gate = {ADVANCED: FOUND}, asyncio.Event()
    first, second, given_up = (asyncio.create_task(lookup.find(ADDRESS)) for _ in range(3))
    await asyncio.sleep(0.01)
    given_up.cancel()
    http.gate.set()
    assert (await first) == (await second) != None  # noqa: E711 - both, and found
    assert len(http.asked) == 1


@pytest.mark.parametrize(
    "address", ["", "ann", "@example.org", "ann@", "ann@localhost", "ann@exa mple.org", "ann@[1.2.3.4]"]
)
async def test_what_cannot_be_looked_up_is_not(http: FakeHttp, lookup: KeyLookup, address: str) -> None:
    assert await lookup.find(address) is None
    assert http.asked == []


async def test_too_much_at_once_is_told_and_not_taken_for_absence(http: FakeHttp, lookup: KeyLookup) -> None:
    http.gate = asyncio.Event()
    tasks = [asyncio.create_task(lookup.find(f"a{number}@example.org")) for number in range(1000)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match=r"^busy$"):
        await lookup.find(ADDRESS)
    http.gate.set()
    assert await asyncio.gather(*tasks) == [None] * 1000
    assert await lookup.find(ADDRESS) is None


async def test_memory_is_bounded(http: FakeHttp, clock: ManualClock) -> None:
    lookup = KeyLookup(http, clock)
    http.answers = {ADVANCED: FOUND}
    await lookup.find(ADDRESS)
    for number in range(lookup_module._MAX_ENTRIES):
        lookup._keep(f"a{number}@example.org", None)
    assert len(lookup._known) == lookup_module._MAX_ENTRIES
    assert lookup._kept_bytes == lookup_module._MAX_ENTRIES * lookup_module._ENTRY_BYTES
    assert await lookup.find(ADDRESS) is not None
    assert len(http.asked) == 2
