"""Questions to the DNS: kept, shared, bounded."""

from __future__ import annotations

import asyncio

import pytest

from libs.runtime.errors import UnavailableError
from services.delivery.transport.names import Names, to_ascii
from tests.support.clock import ManualClock
from tests.support.dns import serve_dns

ZONE = {
    ("a.test", "A"): ["192.0.2.1"],
    ("alias.test", "CNAME"): ["A.test."],
    ("many.test", "TXT"): [f'"{"x" * 200} {number}"' for number in range(40)],
}


async def test_an_answer_is_kept_for_as_long_as_it_lives() -> None:
    clock = ManualClock()
    with serve_dns(ZONE) as dns:
        names = Names((dns.address,), clock, 1.0)
        for _ in range(3):
            answer = await names.look_up("A.test", "A")
            assert [record.address for record in answer.records] == ["192.0.2.1"]
            assert not (await names.look_up("gone.test", "A")).exists
        assert len(dns.asked) == 2
        clock.advance(61)
        await names.look_up("a.test", "A")
        await names.look_up("gone.test", "A")
        assert [name for name, _ in dns.asked[2:]] == ["gone.test."]
        clock.advance(300)
        await names.look_up("a.test", "A")
        assert len(dns.asked) == 4
        await names.aclose()


async def test_many_who_ask_at_once_ask_once() -> None:
    with serve_dns(ZONE) as dns:
        names = Names((dns.address,), ManualClock(), 1.0)
        answers = await asyncio.gather(*(names.look_up("a.test", "A") for _ in range(50)))
        assert len({id(answer) for answer in answers}) == 1
        assert len(dns.asked) == 1
        await names.aclose()


async def test_one_who_gives_up_leaves_the_others_their_answer() -> None:
    with serve_dns(ZONE) as dns:
        dns.mode = "silent"
        names = Names((dns.address,), ManualClock(), 5.0)
        first = asyncio.create_task(names.look_up("a.test", "A"))
        second = asyncio.create_task(names.look_up("a.test", "A"))
        await asyncio.sleep(0.1)
        first.cancel()
        dns.mode = "answer"
        assert (await second).records
        await names.aclose()


@pytest.mark.parametrize("mode", ["servfail", "silent"])
async def test_no_answer_is_remembered_for_half_a_minute(mode: str) -> None:
    clock = ManualClock()
    with serve_dns(ZONE) as dns:
        dns.mode = mode
        names = Names((dns.address,), clock, 0.3)
        with pytest.raises(UnavailableError):
            await names.look_up("a.test", "A")
        asked = len(dns.asked)
        with pytest.raises(UnavailableError):
            await names.look_up("a.test", "A")
        assert len(dns.asked) == asked
        dns.mode = "answer"
        clock.advance(31)
        assert (await names.look_up("a.test", "A")).records
        await names.aclose()


async def test_nobody_there_is_no_answer() -> None:
    names = Names(("127.0.0.1:1",), ManualClock(), 0.5)
    with pytest.raises(UnavailableError):
        await names.look_up("a.test", "A")
    await names.aclose()


async def test_aliases_are_followed_and_told() -> None:
    with serve_dns(ZONE) as dns:
        names = Names((dns.address,), ManualClock(), 1.0)
        answer = await names.look_up("alias.test", "A")
        assert answer.canonical == "a.test"
        assert answer.records
        await names.aclose()


async def test_a_long_answer_comes_whole() -> None:
    with serve_dns(ZONE) as dns:
        names = Names((dns.address,), ManualClock(), 2.0)
        assert len((await names.look_up("many.test", "TXT")).records) == 40
        await names.aclose()


@pytest.mark.parametrize(("signed", "kind"), [(True, "A"), (False, "A"), (True, "MX")])
async def test_proof_is_told_of_what_is_and_of_what_is_not(signed: bool, kind: str) -> None:
    with serve_dns(ZONE) as dns:
        dns.signed = signed
        names = Names((dns.address,), ManualClock(), 1.0)
        assert (await names.look_up("a.test", kind)).authentic == signed
        await names.aclose()


@pytest.mark.parametrize("name", ["x" * 64 + ".test", "a..test", ".".join(["x" * 60] * 6), "bad\\.test\\"])
async def test_what_is_no_name_does_not_exist(name: str) -> None:
    names = Names(("127.0.0.1:1",), ManualClock(), 0.5)
    assert not (await names.look_up(name, "A")).exists
    await names.aclose()


@pytest.mark.parametrize(
    ("domain", "ascii_form"),
    [
        ("Remote.Test", "remote.test"),
        ("remote.test.", "remote.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("", None),
        ("x" * 300, None),
        ("a\u200bb\u0001ü.test", None),
        ("a@b.test", None),
    ],
)
def test_domains_in_letters_of_the_dns(domain: str, ascii_form: str | None) -> None:
    assert to_ascii(domain) == ascii_form
