"""The canonical forms of a body are those of dkimpy, however the body is cut into blocks."""

from __future__ import annotations

import hashlib
import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from libs.mail import bodyhash

PIECES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"bc", b"  "]), max_size=30).map(
    # What has come over SMTP is whole lines.
    lambda pieces: b"".join([*pieces, b"\r\n"]) if pieces else b""
)


@pytest.mark.parametrize(("form", "reference"), [(bodyhash.simple, Simple), (bodyhash.relaxed, Relaxed)])
@pytest.mark.parametrize("block", [2, 3, 4, 5, 1000])
def test_forms(form: object, reference: object, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodyhash, "_BLOCK", block)
    assert callable(form)

    @given(PIECES)
    def check(body: bytes) -> None:
        made = b"".join(form(bytearray(b"head" + body), 4))
        assert made == reference.canonicalize_body(body)  # type: ignore[attr-defined]

    check()


def test_the_hash_and_the_length() -> None:
    digest, length = bodyhash.body_hash(bytearray(b"x\r\n\r\na  b \r\n\r\n"), 5, b"relaxed", b"rsa-sha256")
    assert (digest, length) == (hashlib.sha256(b"a b\r\n").digest(), 5)


@pytest.mark.parametrize("body", [b"\r\n" * 10_000_000, b" " * 20_000_000, b"a \t" * 7_000_000, b" \r\n" * 7_000_000])
def test_hostile_bodies_take_linear_time(body: bytes) -> None:
    began = time.thread_time()
    for form in (b"simple", b"relaxed"):
        bodyhash.body_hash(bytearray(body), 0, form, b"rsa-sha256")
    assert time.thread_time() - began < 5.0
