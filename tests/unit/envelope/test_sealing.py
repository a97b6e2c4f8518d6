"""A sealed blob opens with its key at its place, whole and in order, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import new_data_key, open_sealed, place_of, seal
from libs.envelope.sealing import SEGMENT_BYTES
from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret

KEY = Secret(bytes(range(32)))
STEP = SEGMENT_BYTES + 16
HEAD = 1 + 32


def refused(key: Secret[bytes], place: str, blob: bytes) -> None:
    with pytest.raises(InvalidError) as caught:
        open_sealed(key, place, blob)
    assert caught.value.reason == "sealed_data_invalid"


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_opens_what_was_sealed(plaintext: bytes, place: str) -> None:
    assert open_sealed(KEY, place, seal(KEY, place, plaintext)) == plaintext


@pytest.mark.parametrize("size", [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES, 700_000])
def test_opens_large_blobs_in_segments(size: int) -> None:
    plaintext = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    blob = seal(KEY, "a/b/c", plaintext)
    assert blob[0] == (1 if size <= SEGMENT_BYTES else 2)
    assert open_sealed(KEY, "a/b/c", blob) == plaintext


@given(st.text(max_size=30), st.text(max_size=30), st.binary(max_size=100))
def test_another_place_is_refused(here: str, there: str, plaintext: bytes) -> None:
    if here != there:
        refused(KEY, there, seal(KEY, here, plaintext))


def test_another_key_is_refused() -> None:
    refused(new_data_key(), "a/b/c", seal(KEY, "a/b/c", b"mail"))
    refused(new_data_key(), "a/b/c", seal(KEY, "a/b/c", b"m" * (SEGMENT_BYTES + 1)))


@given(st.binary(max_size=200), st.data())
def test_a_changed_byte_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    blob = bytearray(seal(KEY, "a/b/c", plaintext))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    refused(KEY, "a/b/c", bytes(blob))


@given(st.binary(max_size=200), st.data())
def test_a_truncated_or_extended_blob_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    blob = seal(KEY, "a/b/c", plaintext)
    refused(KEY, "a/b/c", blob[: data.draw(st.integers(0, len(blob) - 1))])
    refused(KEY, "a/b/c", blob + data.draw(st.binary(min_size=1, max_size=20)))


@given(st.binary(max_size=100))
def test_garbage_is_refused(blob: bytes) -> None:
    refused(KEY, "a/b/c", blob)


def test_segments_cannot_be_cut_moved_doubled_or_mixed() -> None:
    blob = seal(KEY, "a/b/c", b"m" * (3 * SEGMENT_BYTES + 100))
    head, body = blob[:HEAD], blob[HEAD:]
    one, two, three, last = body[:STEP], body[STEP : 2 * STEP], body[2 * STEP : 3 * STEP], body[3 * STEP :]
    other = seal(KEY, "a/b/c", b"m" * (3 * SEGMENT_BYTES + 100))[HEAD:]
    for parts in (
        (one, two, three),
        (one, two),
        (one,),
        (),
        (two, one, three, last),
        (one, two, last),
        (one, one, two, three, last),
        (one, two, three, last, last),
        (one, two, three, last[:-1]),
        (one, other[STEP : 2 * STEP], three, last),
    ):
        refused(KEY, "a/b/c", head + b"".join(parts))
    assert len(open_sealed(KEY, "a/b/c", head + one + two + three + last)) == 3 * SEGMENT_BYTES + 100


def test_equal_plaintexts_look_different() -> None:
    assert seal(KEY, "a/b/c", b"mail") != seal(KEY, "a/b/c", b"mail")


def test_place_names_collection_key_and_field() -> None:
    assert place_of("message", "1a", "body") == "message/1a/body"
