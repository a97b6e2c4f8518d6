from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.rpc import observer
from libs.runtime import errors
from libs.telemetry import logs, traces
from protos.storage.v1 import storage_pb2 as pb
from tests.support.rpc import serve
from tests.unit.rpc.storage import SERVICE, Storage, registration, stub

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    written: list[dict[str, Any]] = []
    former = logs.configure(logs.Output(write=lambda line: written.append(json.loads(line))))
    yield written
    logs.configure(former)


def counts(method: str, outcome: str) -> tuple[float, float]:
    label = f"{SERVICE}/{method}"
    return tuple(total.value(method=label, outcome=outcome) for total in (observer.SERVED, observer.MADE))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "ok"), (errors.NotFoundError("x"), "not_found"), (KeyError("x"), "internal")],
)
async def test_calls_are_counted_by_outcome_on_both_sides(
    error: Exception | None, outcome: str, lines: list[dict[str, Any]]
) -> None:
    async with serve(registration(Storage(error))) as channel:
        client = stub(channel)
        before = [counts(method, outcome) for method in ("Append", "Stage", "GetBody")]
        for call in (
            client.Append(pb.AppendRequest(), timeout=5),
            client.Stage(iter([pb.StageBlock(), pb.StageBlock()]), timeout=5),
            asyncio.ensure_future(drain(client.GetBody(pb.GetMessageRequest(), timeout=5))),
        ):
            try:
                await call
            except errors.SealpostError:
                assert error is not None
        after = [counts(method, outcome) for method in ("Append", "Stage", "GetBody")]
    assert after == [(served + 1, made + 1) for served, made in before]
    assert len(lines) == (3 if outcome == "internal" else 0)


async def drain(responses: Any) -> None:
    async for _ in responses:
        pass


async def test_a_fault_is_logged_without_its_text(lines: list[dict[str, Any]]) -> None:
    async with serve(registration(Storage(KeyError("ada@example.org")))) as channel:
        with pytest.raises(errors.InternalError):
            await stub(channel).Append(pb.AppendRequest(), timeout=5)
    assert [(line["event"], line["error"], line["method"]) for line in lines] == [
        ("rpc_failed", "KeyError", f"{SERVICE}/Append")
    ]
    assert "ada@" not in json.dumps(lines)


async def test_a_refused_caller_is_counted() -> None:
    async with serve(registration(Storage()), caller="crypto") as channel:
        client = stub(channel)
        before = counts("Append", "denied")
        with pytest.raises(errors.DeniedError):
            await client.Append(pb.AppendRequest(), timeout=5)
        assert counts("Append", "denied") == (before[0] + 1, before[1] + 1)


async def test_a_cancelled_call_is_counted() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with serve(registration(servicer)) as channel:
        before = counts("Append", "cancelled")
        call = asyncio.ensure_future(stub(channel).Append(pb.AppendRequest(), timeout=5))
        await asyncio.wait_for(servicer.entered.wait(), 5)
        call.cancel()
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        await asyncio.sleep(0.05)
        assert counts("Append", "cancelled") == (before[0] + 1, before[1] + 1)


async def test_the_trace_goes_along() -> None:
    seen: list[dict[str, str]] = []

    class Traced(Storage):
        async def Append(self, request: Any, context: Any) -> Any:
            seen.append(traces.inject())
            return await super().Append(request, context)

    async with serve(registration(Traced())) as channel:
        await stub(channel).Append(pb.AppendRequest(), timeout=5)
        with traces.within(traces.extract({"traceparent": TRACE})):
            await stub(channel).Append(pb.AppendRequest(), timeout=5, metadata=(("own", "1"),))
            _ = [block async for block in stub(channel).GetBody(pb.GetMessageRequest(), timeout=5)]
    assert [context.get("traceparent", "")[3:35] for context in seen] == ["", TRACE[3:35]]
