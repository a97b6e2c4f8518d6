"""DKIM: valid is pass, changed is fail, and nothing hostile raises, costs much, or counts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.signatures import Signature, verify
from tests.unit.ingest.senders import MAIL, ed25519_key, letter, sign, table, weak_key, zone

ASK = table(zone())


def results(mail: bytes, most: int = 5) -> list[str]:
    return [one.result for one in verify(letter(mail), ASK, most)]


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("mail", [MAIL, MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", MAIL + b" \t \r\n" * 50_000])
def test_valid_signatures(header: bytes, body: bytes, mail: bytes) -> None:
    (found,) = verify(letter(sign(mail, canonicalize=(header, body))), ASK, 5)
    assert (found.result, found.domain, found.selector, len(found.short)) == ("pass", "example.org", "sel", 8)


def test_ed25519() -> None:
    signed = sign(MAIL, "ed.example.org", key=ed25519_key()[0], signature_algorithm=b"ed25519-sha256")
    assert results(signed) == ["pass"]


def test_no_signature_is_no_result() -> None:
    assert results(MAIL) == []


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        (b"A line.", b"B line.", "fail"),
        (b"Subject: Hello", b"Subject: Hallo", "fail"),
        (b"From: Ada", b"From: Eve <eve@example.org>\r\nFrom: Ada", "fail"),
        (b"Another  one\r\n", b"Another  one\r\nand more\r\n", "fail"),
        (b"d=example.org", b"d=example.net", "permerror"),
        (b"s=sel", b"s=other", "permerror"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "policy"),
        (b"a=rsa-sha256", b"a=rsa-md5", "fail"),
        (b"v=1", b"v=2", "fail"),
        (b"c=relaxed/simple", b"c=strange/simple", "permerror"),
        (b"d=example.org", b"d=", "permerror"),
        (b"d=example.org", b"d=evil)(;comment", "permerror"),
        (b"bh=", b"bx=", "fail"),
        (b"; q=dns/txt", b"; q=dns/txt; q=dns/txt", "permerror"),
    ],
)
def test_changes_are_seen(before: bytes, after: bytes, result: str) -> None:
    signed = sign(MAIL)
    assert before in signed
    assert results(signed.replace(before, after, 1)) == [result] or (
        # A signature over d= and i= that no longer belong together.
        before == b"d=example.org" and results(signed.replace(before, after, 1)) == ["fail"]
    )


def test_text_behind_a_signed_length_does_not_count_as_signed() -> None:
    signed = sign(MAIL, length=True)
    assert results(signed) == ["pass"]
    assert results(signed + b"unsigned\r\n") == ["policy"]


@pytest.mark.parametrize(
    ("domain", "result"),
    [
        ("nowhere.example.org", "permerror"),
        ("broken.example.org", "permerror"),
        ("sub.temp.example", "temperror"),
    ],
)
def test_keys_that_are_not_there(domain: str, result: str) -> None:
    assert results(sign(MAIL, domain)) == [result]


def test_weak_keys_do_not_count() -> None:
    assert results(sign(MAIL, "weak.example.org", key=weak_key()[0])) == ["permerror"]


def test_several_signatures_up_to_a_number() -> None:
    signed = sign(sign(sign(MAIL), "example.net"), "nowhere.example.org")
    assert results(signed) == ["permerror", "pass", "pass"]
    assert results(signed, most=2) == ["permerror", "pass"]


def test_a_huge_header_is_not_looked_at() -> None:
    padded = b"X: " + b"y" * 300_000 + b"\r\n" + sign(MAIL)
    assert verify(letter(padded), ASK, 5) == [Signature("policy")]


def test_a_header_that_is_none() -> None:
    assert results(b"X: y\r\nno field at all\r\n" + sign(MAIL)) == ["permerror"]


@given(st.binary(max_size=120))
def test_no_signature_raises(tags: bytes) -> None:
    tags = tags.replace(b"\r", b"").replace(b"\n", b"")
    assert len(results(b"DKIM-Signature: v=1; " + tags + b"\r\n" + MAIL)) == 1


@given(
    st.sampled_from([b"v", b"a", b"b", b"bh", b"d", b"h", b"s", b"l", b"t", b"x", b"i", b"c", b"q"]),
    st.binary(max_size=20),
)
def test_no_tag_raises(tag: bytes, value: bytes) -> None:
    value = value.replace(b"\r", b"").replace(b"\n", b"")
    head, _, rest = sign(MAIL).partition(b"\r\nFrom:")
    tags = dict(one.strip().split(b"=", 1) for one in head.partition(b":")[2].split(b";") if b"=" in one)
    tags[tag] = value
    field = b"DKIM-Signature: " + b"; ".join(name + b"=" + text for name, text in tags.items())
    for one in verify(letter(field + b"\r\nFrom:" + rest), ASK, 5):
        assert one.result in ("pass", "fail", "permerror", "policy")
        assert one.domain.isascii()
        assert not set(one.domain + one.selector + one.short) & set(' ;()"\\\r\n')


@given(st.binary(max_size=120))
def test_no_key_raises(record: bytes) -> None:
    for one in verify(letter(sign(MAIL)), lambda name, kind: [record], 5):
        assert one.result in ("fail", "permerror", "policy")


def test_many_signatures_of_a_large_mail_hash_it_once() -> None:
    signed = sign(MAIL + b"x y  z\r\n" * 200_000, canonicalize=(b"relaxed", b"relaxed"))
    began = time.thread_time()
    assert results(signed.partition(b"\r\nFrom:")[0].join([b"", b"\r\n"]) * 5 + signed) == ["pass"] * 5
    assert time.thread_time() - began < 2.0
