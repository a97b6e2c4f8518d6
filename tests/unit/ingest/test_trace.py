"""The trace fields: in their order, unforgeable, and the rest of the mail byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.runtime.errors import InvalidError
from services.ingest.domain import Client, Mail
from services.ingest.trace import assemble, compose, forged_results
from tests.support.ingest import HOSTNAME
from tests.support.ingest_fakes import without_trace

NOW = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)


def sealed(content: bytes, client: Client | None = None, sender: str = "ada@example.org", utf8: bool = False) -> bytes:
    """Return what would be sealed."""
    client = client or Client("192.0.2.7", "mail.example.org", extended=True)
    letter = Letter(bytearray(content))
    mail = Mail(client, sender, [], letter.content, utf8)
    verdict = Verdict(results="spf=none; dkim=none; dmarc=none")
    return assemble(letter, compose(mail, verdict, HOSTNAME, "d" * 32, NOW), forged_results(letter, HOSTNAME))


def test_the_fields_and_their_order() -> None:
    assert sealed(b"Subject: x\r\n\r\nbody\r\n").decode() == (
        "Return-Path: <ada@example.org>\r\n"
        "Received: from mail.example.org ([192.0.2.7])\r\n"
        f"\tby mx.sealpost.test with ESMTP id {'d' * 32};\r\n"
        "\tSun, 22 Nov 2026 17:00:00 +0000\r\n"
        "Authentication-Results: mx.sealpost.test; spf=none;\r\n\tdkim=none;\r\n\tdmarc=none\r\n"
        "Subject: x\r\n\r\nbody\r\n"
    )


@pytest.mark.parametrize(
    ("client", "utf8", "words"),
    [
        (Client("192.0.2.7", "a.example"), False, "from a.example ([192.0.2.7])|with SMTP id"),
        (Client("2001:db8::1", "a.example", True, True), False, "from a.example ([IPv6:2001:db8::1])|with ESMTPS id"),
        (Client("192.0.2.7", "[192.0.2.9]", True, False), True, "from [192.0.2.9] ([192.0.2.7])|with UTF8SMTP id"),
        (Client("192.0.2.7", "a.example", True, True), True, "with UTF8SMTPS id"),
    ],
)
def test_received_says_how_it_came(client: Client, utf8: bool, words: str) -> None:
    text = sealed(b"Subject: x\r\n\r\n", client, utf8=utf8).decode()
    assert all(word in text for word in words.split("|"))


def test_the_null_sender() -> None:
    assert sealed(b"Subject: x\r\n\r\n", sender="").startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mx.sealpost.test; dmarc=pass\r\n",
        b"authentication-results: MX.SealPost.Test; dmarc=pass\r\n",
        b"Authentication-Results : mx.sealpost.test; dmarc=pass\r\n",
        b"Authentication-Results:mx.sealpost.test 1; dmarc=pass\r\n",
        b"Authentication-Results:\r\n\tmx.sealpost.test;\r\n dmarc=pass\r\n",
        b"Authentication-Results: (a (nested) comment; with) mx.sealpost.test; dmarc=pass\r\n",
        b'Authentication-Results: "mx.sealpost.test"; dmarc=pass\r\n',
        b'Authentication-Results: "mx.sea\\lpost.test"; dmarc=pass\r\n',
        b"Authentication-Results: mx.sealpost.test.; dmarc=pass\r\n",
        b"Authentication-Results: (unfinished mx.sealpost.test; dmarc=pass\r\n",
        b"Authentication-Results: " + b"(" * 3000 + b"mx.sealpost.test; dmarc=pass\r\n",
        b"Authentication-Results: ; dmarc=pass\r\n",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_results_that_claim_to_be_ours_are_taken_out(field: bytes, place: int) -> None:
    fields = [b"From: ada@example.org\r\n", b"Subject: x\r\n"]
    mail = b"".join(fields) + b"\r\nbody\r\n"
    fields.insert(place, field)
    assert without_trace(sealed(b"".join(fields) + b"\r\nbody\r\n")) == mail


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: mx.sealpost.test.example.org; dmarc=pass\r\n",
        b"X-Authentication-Results: mx.sealpost.test; dmarc=pass\r\n",
        b"Subject: Authentication-Results: mx.sealpost.test; x\r\n",
        b"Subject: x\r\n Authentication-Results: mx.sealpost.test; x\r\n",
    ],
)
def test_the_results_of_others_stay(field: bytes) -> None:
    mail = b"From: ada@example.org\r\n" + field + b"\r\nAuthentication-Results: mx.sealpost.test; in the body\r\n"
    assert without_trace(sealed(mail)) == mail


def test_results_hidden_behind_a_huge_header_are_taken_out() -> None:
    ours = b"Authentication-Results: mx.sealpost.test; dmarc=pass\r\n"
    padding = b"X: y\r\n" * 300_000
    assert without_trace(sealed(padding + ours + b"\r\nbody\r\n")) == padding + b"\r\nbody\r\n"


@given(st.integers(min_value=-60, max_value=5))
def test_results_on_the_border_of_two_pieces_are_taken_out(offset: int) -> None:
    ours = b"Authentication-Results: mx.sealpost.test; dmarc=pass\r\n"
    padding = b"X: " + b"y" * (1024 * 1024 + offset - 5) + b"\r\n"
    assert without_trace(sealed(padding + ours + b"\r\n")) == padding + b"\r\n"


@pytest.mark.parametrize("count", [100, 101, 1000])
def test_more_results_than_can_be_looked_at_are_refused(count: int) -> None:
    field = b"Authentication-Results: mx.sealpost.test; x\r\n"
    if count == 100:
        assert without_trace(sealed(field * count + b"\r\n")) == b"\r\n"
        return
    with pytest.raises(InvalidError) as caught:
        sealed(field * count + b"\r\n")
    assert caught.value.reason == "results"


@pytest.mark.parametrize(("count", "loops"), [(99, False), (100, True), (5000, True)])
@pytest.mark.parametrize("field", [b"Received: x\r\n", b"RECEIVED : x\r\n y\r\n"])
def test_loops(count: int, loops: bool, field: bytes) -> None:
    mail = field * count + b"\r\nbody\r\n"
    if not loops:
        assert without_trace(sealed(mail)) == mail
        return
    with pytest.raises(InvalidError) as caught:
        sealed(mail)
    assert caught.value.reason == "loop"


def test_received_in_the_body_or_within_a_field_is_no_loop() -> None:
    mail = b"Subject: received: x\r\n" + b"\r\n" + b"Received: x\r\n" * 200
    assert without_trace(sealed(mail)) == mail


@pytest.mark.parametrize(
    "content",
    [
        b" dmarc=pass header.from=bank.example\r\n\r\nbody\r\n",
        b"\tx\r\n",
        b"just text\r\n",
        b"no colon here\r\n\r\n",
        b":x\r\n",
        b"",
    ],
)
def test_a_mail_that_does_not_begin_with_a_field_is_all_body(content: bytes) -> None:
    trace, empty, rest = sealed(content).partition(b"\r\n\r\n")
    assert empty
    assert rest == content
    assert trace.count(b"\r\n") == 6


def test_a_mail_without_a_header_keeps_its_empty_line() -> None:
    assert sealed(b"\r\nbody\r\n").endswith(b"dmarc=none\r\n\r\nbody\r\n")


@given(st.lists(st.sampled_from([b"Subject: x", b" folded", b"Received: y", b"", b"text", b"\tz", b"A:"]), max_size=8))
def test_the_mail_is_kept_byte_for_byte(lines: list[bytes]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    made = sealed(content)
    assert made.endswith(content)
    assert made[: len(made) - len(content)].count(b"\r\n\r\n") <= 1
