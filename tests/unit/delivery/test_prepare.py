"""What of a submitted mail goes out, and what of it is refused."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.runtime.errors import InvalidError
from services.delivery.domain.model import Order, Profile
from services.delivery.domain.prepare import Prepared, prepare

NOW = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"
HOST = "mx.sealpost.test"
FROM = b"From: Ada <ada@example.org>\r\n"
COMPLETE = (
    b"Date: Sun, 22 Nov 2026 17:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n" + FROM + b"To: bob@example.net\r\n"
    b"Subject: Hello\r\nUser-Agent: Pen 1.0\r\n\r\nA line. \r\n\r\n\xff\xfe bytes\r\n"
)


def order(content: bytes, submission_id: str = ID) -> Order:
    return Order(submission_id, "a" * 32, Profile.RELAY, "ada@example.org", ["bob@example.net"], content)


def prepared(content: bytes) -> Prepared:
    return prepare(order(content), HOST, NOW)


def refused(content: bytes) -> str:
    with pytest.raises(InvalidError) as caught:
        prepared(content)
    return caught.value.reason


def header_lines(content: bytes) -> list[bytes]:
    return content.partition(b"\r\n\r\n")[0].split(b"\r\n")


def test_a_complete_mail_goes_out_byte_for_byte() -> None:
    found = prepared(COMPLETE)
    assert found.content == COMPLETE
    assert found.message_id == "<1@example.org>"
    assert found.from_addresses == ("ada@example.org",)
    assert found.sender_domain == "example.org"
    assert not found.auto_submitted


def test_what_is_missing_is_put_in_front() -> None:
    found = prepared(FROM + b"\r\nText\r\n")
    assert found.message_id == f"<{ID}@example.org>"
    assert (
        found.content
        == (b"Date: Sun, 22 Nov 2026 17:00:00 +0000\r\nMessage-ID: " + found.message_id.encode() + b"\r\n")
        + FROM
        + b"\r\nText\r\n"
    )


def test_empty_date_and_message_id_are_replaced() -> None:
    found = prepared(b"Date: \r\nMessage-ID:\r\n \r\n" + FROM + b"\r\nText\r\n")
    lines = header_lines(found.content)
    assert lines[0] == b"Date: Sun, 22 Nov 2026 17:00:00 +0000"
    assert lines[1:] == [b"Message-ID: " + found.message_id.encode(), FROM.strip()]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\nText"])
def test_ends_are_completed_before_anything_is_signed(end: bytes) -> None:
    kept = COMPLETE.partition(b"\r\n\r\n")[0]
    found = prepared(kept + end).content
    assert found == kept + b"\r\n\r\n" + (b"Text\r\n" if b"Text" in end else b"")
    assert prepared(b"Bcc: eve@example.net\r\n" + kept + end).content == found


@pytest.mark.parametrize(
    "field",
    [
        b"Bcc: eve@example.net",
        b"BCC: eve@example.net,\r\n\tmallory@example.net",
        b"Resent-Bcc: eve@example.net",
        b"Return-Path: <eve@example.net>",
        b"Received: from [192.0.2.1] by here\r\n\tfor eve@example.net",
        b"X-Originating-IP: [192.0.2.1]",
        b"x-originating-email: eve@example.net",
        b"X-Sender-IP: 192.0.2.1",
        b"X-Client-Addr: 192.0.2.1",
        b"X-ClientProxiedBy: host",
        b"X-Source-Dir: /srv/eve",
        b"X-Source: eve",
        b"X-PHP-Originating-Script: 1000:eve.php",
        b"X-PHP-Script: eve.php for 192.0.2.1",
        b"X-Remote-Addr: 192.0.2.1",
        b"X-Forwarded-For: 192.0.2.1",
        b"X-Authenticated-Sender: eve@example.net",
        b"X-Get-Message-Sender-Via: eve",
        b"Authentication-Results: MX.sealpost.test; spf=pass",
        b"Authentication-Results: (hi)\r\n mx.sealpost.test; spf=pass",
    ],
)
def test_what_is_nobodys_business_is_taken_out_wherever_it_stands(field: bytes) -> None:
    head, _, body = COMPLETE.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for place in range(len(lines) + 1):
        mail = b"\r\n".join([*lines[:place], field, *lines[place:]]) + b"\r\n\r\n" + body
        assert prepared(mail).content == COMPLETE


@pytest.mark.parametrize(
    "field",
    [
        b"X-Mailer: Pen 1.0",
        b"DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=  x",
        b"Authentication-Results: mx.example.org; spf=pass",
        b"Resent-From: ada@example.org",
        b"X-Sender: ada",
        b"Receivedx: 1",
        b"Subjects: a  b",
        b"References: <1@x>\r\n\t<2@x>\r\n \r\n <3@x>",
        b"X-Wide: \xc3\xa4\xff",
        b"Disposition-Notification-To: ada@example.org",
    ],
)
def test_other_fields_stay_byte_for_byte(field: bytes) -> None:
    mail = field + b"\r\n" + COMPLETE
    assert prepared(mail).content == mail
    assert prepared(b"Bcc: x@example.net\r\n" + mail).content == mail


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n" + COMPLETE,
        b"Text without a header\r\n",
        b" folded\r\n" + COMPLETE,
        COMPLETE + b"\0",
        COMPLETE + b"bare\nline\r\n",
        COMPLETE + b"bare\rline\r\n",
        COMPLETE.replace(b"Hello", b"Hello\nBcc: eve@example.net"),
        COMPLETE.replace(b"Hello", b"Hello\rBcc: eve@example.net"),
        COMPLETE.replace(b"\r\n", b"\n"),
        COMPLETE.replace(b"Hello", b"Hello\x0bX"),
        COMPLETE.replace(b"Hello", b"Hello\x7f"),
        b"From eve@example.net Sun Nov 22\r\n" + COMPLETE,
        COMPLETE.replace(b"Subject:", b"Subject :"),
        COMPLETE.replace(b"Subject:", b"Sub ject:"),
        COMPLETE.replace(b"Subject:", b"S\xc3\xbc:"),
        COMPLETE.replace(b"Subject: Hello", b"no field"),
        b": no name\r\n" + COMPLETE,
        b"Subject: again\r\n" + COMPLETE,
        b"Content-Type: text/plain\r\ncontent-TYPE: text/html\r\n" + COMPLETE,
        b"Date: \r\n" + COMPLETE,
        b"X: " + b"x" * 996 + b"\r\n" + COMPLETE,
        COMPLETE + b"x" * 999,
        COMPLETE + b"x" * 999 + b"\r\n",
        COMPLETE + b"short\r\n" * 500 + b"x" * 999 + b"\r\nshort\r\n",
        b"X: 1\r\n" * 1000 + COMPLETE,
        (b"X: " + b"x" * 990 + b"\r\n") * 270 + COMPLETE,
    ],
)
def test_what_two_programs_could_read_differently_is_refused(content: bytes) -> None:
    assert refused(content) == "content_malformed"


def test_lines_of_998_bytes_pass() -> None:
    line = b"x" * 998 + b"\r\n"
    mail = b"X: " + b"x" * 995 + b"\r\n" + COMPLETE + line + b"\r\n" + line * 3
    assert prepared(mail).content == mail
    assert prepared(mail + b"x" * 998).content == mail + line


def test_the_domain_of_the_sender_is_in_a_labels() -> None:
    assert prepared("From: <ada@BÜCHER.example>\r\n\r\n".encode()).sender_domain == "xn--bcher-kva.example"
    assert prepared(b"From: <ada@Example.ORG>\r\n\r\n").message_id == f"<{ID}@example.org>"


def test_one_from_must_be_there() -> None:
    assert refused(COMPLETE.replace(FROM, b"")) == "from_missing"
    assert refused(FROM + COMPLETE) == "from_malformed"
    assert refused(b"from: eve@example.net\r\n" + COMPLETE) == "from_malformed"


def test_whoever_is_shown_as_a_sender_needs_to_be_allowed() -> None:
    more = b"Sender: eve@example.net\r\nResent-From: <m@example.net>\r\nResent-From: n@example.net\r\n"
    found = prepared(more + b"Resent-Sender: o@example.net\r\nResent-To: p@example.net\r\n" + COMPLETE)
    assert found.from_addresses == (
        "ada@example.org",
        "eve@example.net",
        "m@example.net",
        "n@example.net",
        "o@example.net",
    )
    assert refused(b"Sender: nobody\r\n" + COMPLETE) == "from_malformed"


def test_links_to_unsubscribe_make_room_where_ours_are_wanted() -> None:
    theirs = b"List-unsubscribe: <mailto:x@example.org>,\r\n <https://x>\r\nList-Unsubscribe-Post: x\r\nList-Id: y\r\n"
    assert prepared(theirs + COMPLETE).content == theirs + COMPLETE
    wanted = replace(order(theirs + COMPLETE), campaign="c", one_click_unsubscribe=True)
    assert prepare(wanted, HOST, NOW).content == b"List-Id: y\r\n" + COMPLETE


def test_a_mail_that_goes_round_is_a_loop() -> None:
    trace = b"Received: from a by b; Sun, 22 Nov 2026 17:00:00 +0000\r\n"
    assert prepared(trace * 49 + COMPLETE).content == COMPLETE
    assert refused(trace * 50 + COMPLETE) == "loop"


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        (b"", False),
        (b"Auto-Submitted: no\r\n", False),
        (b"Auto-Submitted: No; x=y\r\n", False),
        (b"auto-submitted: auto-replied\r\n", True),
        (b"Auto-Submitted:\r\n auto-generated\r\n", True),
    ],
)
def test_mail_made_by_programs_is_told_apart(field: bytes, automatic: bool) -> None:
    assert prepared(field + COMPLETE).auto_submitted is automatic


def test_nothing_of_the_order_can_inject_a_field() -> None:
    with pytest.raises(InvalidError):
        prepare(order(FROM + b"\r\n", submission_id="x>\r\nBcc: <eve@example.net"), HOST, NOW)


def test_the_message_id_that_is_told_is_clean_and_bounded() -> None:
    long = b"\r\n\t".join([b"<" + b"x" * 900] * 5)
    found = prepared(b"Message-ID: " + long + b"\r\n" + FROM + b"\r\n")
    assert len(found.message_id) == 998
    assert "\t" not in found.message_id


_NAMES = st.sampled_from(
    [b"From", b"To", b"Bcc", b"Received", b"Date", b"Message-ID", b"Sender", b"X", b"Resent-From", b"", b"\xff", b"A b"]
)
_VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b" a@b.example", b' "x" <a@b.example>', b"\r\n a", b"\r\n", b"(" * 30, b'"' * 30, b"<" * 20, b","]
    ),
)
_MAILS = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda fields, body: b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\n" + body,
        st.lists(st.tuples(_NAMES, _VALUES), max_size=12),
        st.binary(max_size=100),
    ),
)


@settings(max_examples=400, deadline=1000)
@given(_MAILS)
@example(b"From: a@b.example\r\nBcc: c@d.example")
def test_whatever_comes_in_it_is_refused_or_comes_out_well_formed(content: bytes) -> None:
    try:
        found = prepared(content)
    except InvalidError as error:
        assert re.fullmatch("[a-z_]+", error.reason)
        return
    head, empty, _ = found.content.partition(b"\r\n\r\n")
    assert empty and found.content.endswith(b"\r\n")
    names = [line.partition(b":")[0].lower() for line in re.split(rb"\r\n(?![ \t])", head)]
    assert all(names.count(name) == 1 for name in (b"from", b"date", b"message-id"))
    assert not {b"bcc", b"received", b"return-path"} & set(names)
    assert found.message_id and found.from_addresses and found.sender_domain
    # What is prepared stays as it is.
    assert prepared(found.content).content == found.content


def test_a_large_mail_takes_milliseconds() -> None:
    mail = COMPLETE + (b"x" * 70 + b"\r\n") * 140_000
    begun = time.thread_time()
    assert prepared(mail).content == mail
    assert time.thread_time() - begun < 2.0
