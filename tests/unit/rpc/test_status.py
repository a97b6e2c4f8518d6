from __future__ import annotations

import grpc
import pytest

from libs.rpc import status
from libs.runtime import errors


def received(
    code: grpc.StatusCode, trailing: tuple[tuple[str, str], ...] = (), details: str = ""
) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*trailing)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details, "debug")


def test_every_error_has_a_status_of_its_own() -> None:
    assert set(status.STATUS_BY_CODE) == set(errors.BY_CODE)
    assert len(set(status.STATUS_BY_CODE.values())) == len(status.STATUS_BY_CODE)


@pytest.mark.parametrize("kind", errors.BY_CODE.values(), ids=lambda kind: kind.code)
@pytest.mark.parametrize("retry_after", [None, 0.0, 12.5])
def test_an_error_survives_the_way(kind: type[errors.SealpostError], retry_after: float | None) -> None:
    error = kind("some_reason", retry_after=retry_after)
    back = status.from_rpc_error(received(status.status_of(error), status.trailing_metadata(error)))
    assert (type(back), back.reason, back.retry_after) == (kind, "some_reason", retry_after)


def test_a_subclass_travels_as_what_it_is() -> None:
    class QuotaError(errors.ExhaustedError):
        pass

    assert status.status_of(QuotaError("quota")) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_code_that_nobody_mapped_is_internal() -> None:
    class StrangeError(errors.SealpostError):
        code = "strange"

    assert status.status_of(StrangeError("x")) is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("text", ["Ada <ada@example.org>", "", "line\r\nbreak", "x" * 65, "ä"])
def test_a_reason_that_is_no_word_does_not_travel(text: str) -> None:
    assert status.trailing_metadata(errors.InvalidError(text)) == (("sealpost-reason", "unspecified"),)


@pytest.mark.parametrize("text", ["Ada <ada@example.org>", ""])
def test_a_reason_that_is_no_word_is_not_believed(text: str) -> None:
    back = status.from_rpc_error(received(grpc.StatusCode.NOT_FOUND, (("sealpost-reason", text),)))
    assert (type(back), back.reason) == (errors.InternalError, "internal")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_retry_time_that_is_no_time_does_not_travel(seconds: float) -> None:
    error = errors.ExhaustedError("rate", retry_after=seconds)
    assert status.trailing_metadata(error) == (("sealpost-reason", "rate"),)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e9"])
def test_a_retry_time_that_is_no_time_is_not_believed(text: str) -> None:
    trailing = (("sealpost-reason", "rate"), ("sealpost-retry-after", text))
    assert status.from_rpc_error(received(grpc.StatusCode.RESOURCE_EXHAUSTED, trailing)).retry_after is None


@pytest.mark.parametrize(
    ("code", "details", "kind", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect", errors.UnavailableError, "unreachable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", errors.UnavailableError, "deadline"),
        (grpc.StatusCode.CANCELLED, "", errors.UnavailableError, "cancelled"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", errors.ExhaustedError, "rpc_limit"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "SERVER: Received message larger than max (80 vs. 72)",
            errors.InvalidError,
            "message_too_large",
        ),
        (grpc.StatusCode.UNIMPLEMENTED, "", errors.InternalError, "unimplemented"),
        (grpc.StatusCode.UNKNOWN, "", errors.InternalError, "internal"),
        (grpc.StatusCode.DATA_LOSS, "", errors.InternalError, "internal"),
    ],
)
def test_what_grpc_says_by_itself(
    code: grpc.StatusCode, details: str, kind: type[errors.SealpostError], reason: str
) -> None:
    back = status.from_rpc_error(received(code, details=details))
    assert (type(back), back.reason) == (kind, reason)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_no_status_is_without_an_error(code: grpc.StatusCode) -> None:
    assert isinstance(status.from_rpc_error(received(code)), errors.SealpostError)
