"""The reading of AUTH: whatever comes, it is a proof or a refusal, and no exception carries any of it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import sasl
from services.ingest.sasl import SaslError

names = st.text(min_size=1, max_size=60).filter(lambda text: "\0" not in text and len(text.encode()) <= 255)


@given(names, names, st.booleans())
def test_plain_is_read_back(name: str, password: str, named_twice: bool) -> None:
    authorization = name if named_twice else ""
    message = f"{authorization}\0{name}\0{password}".encode()
    proof = sasl.read_plain(sasl.decode_initial(base64.b64encode(message).decode()))
    assert (proof.address, proof.password.reveal()) == (name, password)
    assert repr(proof) == f"Proof(address={name!r}, password=***)"


@given(st.binary(max_size=600))
def test_any_octets_are_a_proof_or_a_refusal(octets: bytes) -> None:
    try:
        proof = sasl.read_plain(octets)
    except SaslError as error:
        assert error.reply[:3] in ("501", "535")
    else:
        assert octets.count(b"\0") == 2
        assert octets.endswith(f"\0{proof.address}\0{proof.password.reveal()}".encode())


@given(st.binary(max_size=3000))
def test_any_response_is_octets_or_a_refusal(response: bytes) -> None:
    try:
        decoded = sasl.decode(response)
    except SaslError as error:
        assert error.reply[:3] in ("500", "501")
    else:
        assert len(base64.b64encode(decoded)) == len(response) <= sasl.MAX_RESPONSE


@pytest.mark.parametrize("length", [255, 256])
def test_each_part_has_its_bound(length: int) -> None:
    message = b"\0" + b"n" * length + b"\0" + b"p" * length
    if length > 255:
        with pytest.raises(SaslError):
            sasl.read_plain(message)
    else:
        assert sasl.read_plain(message).address == "n" * length


@pytest.mark.parametrize("octets", [b"\0ada\0s3cret\xff", b"\0ada\xff\0s3cret", b"x\0ada\0s3cret", b"s3cret"])
def test_no_exception_carries_the_password(octets: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        sasl.read_plain(octets)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(vars(error)) + repr(error)
        assert b"s3cret" not in error.args
        error = error.__cause__ or error.__context__


def test_the_longest_proof_fits_a_response() -> None:
    longest = b"\0".join([b"x" * 255] * 3)
    assert len(base64.b64encode(longest)) <= sasl.MAX_RESPONSE
