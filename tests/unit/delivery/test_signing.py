"""DKIM signatures, checked with dkimpy: what was signed verifies, what was changed or added does not."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import dkim
import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.mail.bodyhash import body_hash
from libs.runtime.errors import SealpostError, UnavailableError
from services.delivery.dkim_fields import canonical
from services.delivery.signing import DkimSigner
from tests.support.clock import ManualClock
from tests.unit.delivery.fake_crypto import FakeCrypto

DOMAIN = "example.org"
HEADER = (
    b"From: =?utf-8?q?Ad=C3=A4?= <ada@example.org>\r\nTo: bob@example.net,\r\n\tcarol@example.net\r\n"
    b"Subject: A  subject\r\n \twith\tfolding \r\nDate: Sun, 22 Nov 2026 17:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX-Other: 1\r\n"
)


class Bench:
    """A signer with its keys, and a verifier that finds them."""

    def __init__(self, keys_seconds: float = 300.0) -> None:
        self.crypto = FakeCrypto()
        # dkimpy compares t= and x= with the machine's clock.
        self.clock = ManualClock(datetime.now(UTC))
        stub: Any = self.crypto
        self.signer = DkimSigner(stub, self.clock, keys_seconds)

    async def sign(self, content: bytes, domain: str = DOMAIN) -> bytes:
        return await self.signer.sign(content, domain)

    async def verdicts(self, mail: bytes, domain: str = DOMAIN) -> list[bool]:
        records = await self.crypto.records(domain)

        def look(name: bytes, timeout: float = 5) -> bytes:
            return records.get(name, b"")

        verifier = dkim.DKIM(mail)
        results = []
        for number in range(2):
            try:
                results.append(bool(verifier.verify(number, dnsfunc=look)))
            except dkim.ValidationError:
                results.append(False)
        return results


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.signer.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b" \t\r\n \r\n",
        b"Text\r\n",
        b"Text",
        b"Text  with\t\tspace \t\r\n\r\n \r\nand more \r\n\r\n\r\n",
        b"\r\n\r\nlate\r\n",
        b"8-bit: \xff\xfe\xc3\xa4\r\n",
        b".\r\n..\r\n",
        b"x" * 998 + b"\r\n",
    ],
)
async def test_both_signatures_verify(bench: Bench, body: bytes) -> None:
    mail = HEADER + b"\r\n" + body
    signed = await bench.sign(mail)
    assert signed.endswith(mail)
    assert await bench.verdicts(signed) == [True, True]


async def test_ed25519_stands_first_and_the_tags_are_as_promised(bench: Bench) -> None:
    signed = await bench.sign(HEADER + b"\r\nText\r\n")
    fields = signed[: -len(HEADER + b"\r\nText\r\n")].removesuffix(b"\r\n")
    first, second = re.split(rb"\r\n(?!\t)", fields)
    now = int(bench.clock.now().timestamp())
    for field, algorithm, selector in ((first, b"ed25519-sha256", b"s1e"), (second, b"rsa-sha256", b"s1r")):
        name, _, value = field.partition(b":")
        tags = dkim.util.parse_tag_value(value)
        assert name == b"DKIM-Signature"
        assert (tags[b"a"], tags[b"s"], tags[b"d"]) == (algorithm, selector, DOMAIN.encode())
        assert tags[b"c"] == b"relaxed/relaxed"
        assert (int(tags[b"t"]), int(tags[b"x"])) == (now, now + 7 * 86400)
        assert b"l" not in tags
        names = re.split(rb"\s*:\s*", tags[b"h"])
        assert names.count(b"from") == 2 and names.count(b"reply-to") == 1 and names.count(b"list-unsubscribe") == 1
    assert all(len(line) <= 100 for line in fields.split(b"\r\n"))


async def test_relays_may_fold_and_space_anew(bench: Bench) -> None:
    signed = await bench.sign(HEADER + b"\r\nA  line \r\n")
    refolded = signed.replace(b"A  subject\r\n \twith", b"A subject with").replace(b"A  line \r\n", b"A line\r\n\r\n")
    assert await bench.verdicts(refolded) == [True, True]
    assert await bench.verdicts(signed.replace(b"\r\nSubject:", b"\r\nSUBJECT:  ")) == [True, True]


@pytest.mark.parametrize(
    "name",
    b"From To Cc Subject Date Message-ID Reply-To References In-Reply-To MIME-Version Content-Type List-Unsubscribe"
    b" List-Unsubscribe-Post".split(),
)
async def test_nothing_that_is_shown_can_be_added(bench: Bench, name: bytes) -> None:
    signed = await bench.sign(HEADER + b"\r\nText\r\n")
    assert await bench.verdicts(name + b": eve@example.net\r\n" + signed) == [False, False]
    assert await bench.verdicts(signed.replace(b"X-Other: 1", name + b": eve@example.net")) == [False, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"ada@", b"eve@"), (b"A  subject", b"B subject"), (b"Text\r\n", b"Text\r\nMore\r\n"), (b"<1@", b"<2@")],
)
async def test_nothing_can_be_changed(bench: Bench, old: bytes, new: bytes) -> None:
    signed = await bench.sign(HEADER + b"\r\nText\r\n")
    assert await bench.verdicts(signed.replace(old, new)) == [False, False]


async def test_what_is_not_signed_may_be_added(bench: Bench) -> None:
    signed = await bench.sign(HEADER + b"\r\nText\r\n")
    assert await bench.verdicts(b"Received: by example.net\r\nSender: list@example.net\r\n" + signed) == [True, True]


async def test_present_fields_that_lists_add_are_signed(bench: Bench) -> None:
    signed = await bench.sign(b"Sender: ada@example.org\r\nList-Id: <x>\r\nList-Id: <y>\r\n" + HEADER + b"\r\nText\r\n")
    assert await bench.verdicts(signed) == [True, True]
    assert await bench.verdicts(signed.replace(b"<y>", b"<z>")) == [False, False]
    assert await bench.verdicts(signed.replace(b"Sender: ada", b"Sender: eve")) == [False, False]


async def test_a_mail_may_have_signatures_already(bench: Bench) -> None:
    twice = await bench.sign(await bench.sign(HEADER + b"\r\nText\r\n"))
    assert await bench.verdicts(twice) == [True, True]


async def test_many_and_odd_fields_are_signed(bench: Bench) -> None:
    odd = (
        b"".join(b"List-Unsubscribe: <https://x/%d>\r\n" % number for number in range(20))
        + b"X-Empty:\r\nX-F:\r\n \r\n"
    )
    long = b"References: " + b"\r\n ".join([b"<%s@x>" % (b"r" * 900)] * 100) + b"\r\n"
    signed = await bench.sign(odd + long + HEADER + b"\r\n")
    assert await bench.verdicts(signed) == [True, True]


async def test_mails_under_way_share_a_call_and_keys_are_asked_for_once(bench: Bench) -> None:
    mails = [HEADER + b"\r\nNumber %d\r\n" % number for number in range(200)]
    signed = await asyncio.gather(*map(bench.sign, mails))
    assert sum(bench.crypto.batches) == 400
    assert len(bench.crypto.batches) < 40
    assert bench.crypto.asked == [DOMAIN]
    assert [await bench.verdicts(one) for one in signed[::50]] == [[True, True]] * 4


async def test_one_body_under_many_headers_is_hashed_right_each_time(bench: Bench) -> None:
    for number in range(200):
        mail = b"X-Number: %d\r\n" % number + HEADER + b"\r\nText %d \r\n" % (number % 3 if number < 50 else number)
        assert await bench.verdicts(await bench.sign(mail)) == [True, True]


async def test_keys_are_asked_for_again_after_minutes(bench: Bench) -> None:
    await bench.sign(HEADER + b"\r\n")
    bench.clock.advance(299)
    await bench.sign(HEADER + b"\r\n")
    assert len(bench.crypto.asked) == 1
    bench.clock.advance(2)
    await bench.sign(HEADER + b"\r\n")
    assert len(bench.crypto.asked) == 2


async def test_keys_that_are_gone_are_asked_for_again_at_once(bench: Bench) -> None:
    await bench.sign(HEADER + b"\r\n")
    bench.crypto.selector = "s2"
    signed = await bench.sign(HEADER + b"\r\n")
    assert b"s=s2e" in signed
    assert await bench.verdicts(signed) == [True, True]


async def test_nothing_goes_out_unsigned(bench: Bench) -> None:
    bench.crypto.fault = UnavailableError("unreachable")
    with pytest.raises(UnavailableError):
        await bench.sign(HEADER + b"\r\n")
    bench.crypto.fault = None
    bench.crypto.refuse = {"bad.example"}
    good, bad = await asyncio.gather(
        bench.sign(HEADER + b"\r\n"), bench.sign(HEADER + b"\r\n", "bad.example"), return_exceptions=True
    )
    assert isinstance(good, bytes)
    assert isinstance(bad, SealpostError) and bad.reason == "kek_missing"


async def test_one_who_gives_up_does_not_take_the_keys_of_others_along(bench: Bench) -> None:
    first = asyncio.create_task(bench.sign(HEADER + b"\r\n"))
    second = asyncio.create_task(bench.sign(HEADER + b"\r\n"))
    await asyncio.sleep(0)
    first.cancel()
    assert await bench.verdicts(await second) == [True, True]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_large_mail_does_not_keep_others_waiting(bench: Bench) -> None:
    mail = HEADER + b"\r\n" + b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do  \r\n" * 400_000
    longest, going = 0.0, True

    async def watch() -> None:
        nonlocal longest
        while going:
            begun = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - begun)

    watching = asyncio.create_task(watch())
    signed = await bench.sign(mail)
    going = False
    await watching
    assert longest < 0.3
    assert await bench.verdicts(signed) == [True, True]


@pytest.mark.parametrize("line", [b" " * 996 + b"x\r\n", b"x" + b"\t " * 498 + b"x\r\n", b"\r\n" * 499, b" \r\n" * 333])
def test_hostile_bodies_take_linear_time(line: bytes) -> None:
    body = line * 5000
    begun = time.thread_time()
    body_hash(body, 0, b"relaxed", b"rsa-sha256")
    assert time.thread_time() - begun < 3


_PIECES = st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"\xff", b"xy" * 400, b" \r\n", b"\r\n" * 40_000])


@settings(max_examples=200, deadline=2000)
@given(st.lists(_PIECES, max_size=60))
def test_blocks_give_what_the_whole_gives(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    expected = hashlib.sha256(Relaxed.canonicalize_body(body if body.endswith(b"\r\n") or not body else body + b"\r\n"))
    assert body_hash(b"head" + body, 4, b"relaxed", b"rsa-sha256")[0] == expected.digest()


async def test_mails_that_come_within_moments_are_signed_in_one_call(bench: Bench) -> None:
    await bench.sign(HEADER + b"\r\nfirst\r\n")
    tasks = []
    for number in range(4):
        tasks.append(asyncio.create_task(bench.sign(HEADER + b"\r\n%d\r\n" % number)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert bench.crypto.batches == [2, 8]


@given(st.lists(st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n ", b"\r", b"\n", b"\x0b", b"\x0c", b"\xff", b";"])))
@settings(max_examples=500, deadline=None)
def test_fields_take_the_form_that_dkimpy_gives_them(parts: list[bytes]) -> None:
    value = b"".join(parts)
    ((_, theirs),) = Relaxed.canonicalize_headers([(b"subject", value)])
    assert canonical(value) + b"\r\n" == theirs
