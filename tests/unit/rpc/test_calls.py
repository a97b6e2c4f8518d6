from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from libs.runtime import errors
from protos.storage.v1 import storage_pb2 as pb
from tests.support.rpc import serve
from tests.unit.rpc.storage import ECHO, Storage, register_echo, registration, stub

APPEND = pb.AppendRequest(deliveries=[pb.Delivery(delivery_id="1"), pb.Delivery(delivery_id="2")])
GET = pb.GetMessageRequest()
KINDS = list(errors.BY_CODE.values())


async def blocks(*data: bytes, error: BaseException | None = None) -> AsyncIterator[pb.StageBlock]:
    for piece in data:
        yield pb.StageBlock(data=piece)
    if error is not None:
        raise error


async def test_one_request_one_response() -> None:
    servicer = Storage()
    async with serve(registration(servicer), caller="ingest", callers=("gateway", "ingest")) as channel:
        response = await stub(channel).Append(APPEND, timeout=5)
    assert len(response.results) == 2
    assert servicer.callers == ["ingest"]


async def test_streams() -> None:
    async with serve(registration(Storage(blocks=3))) as channel:
        assert [block.data async for block in stub(channel).GetBody(GET, timeout=5)] == [b"\0", b"\1", b"\2"]
        assert (await stub(channel).Stage(blocks(b"ab", b"c"), timeout=5)).size == 3
        assert (await stub(channel).Stage(iter([pb.StageBlock(data=b"abcd")]), timeout=5)).size == 4


async def test_streams_read_and_written_by_hand() -> None:
    async with serve(registration(Storage(blocks=1))) as channel:
        upload: Any = stub(channel).Stage(None, timeout=5)
        await upload.write(pb.StageBlock(data=b"abc"))
        await upload.done_writing()
        assert (await upload).size == 3
        download: Any = stub(channel).GetBody(GET, timeout=5)
        assert (await download.read()).data == b"\0"
        assert await download.read() is vars(grpc.aio)["EOF"]


async def test_streams_both_ways() -> None:
    async def echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            if request == b"fail":
                raise errors.ConflictError("said_fail")
            yield request

    async def say(*words: bytes) -> AsyncIterator[bytes]:
        for word in words:
            yield word

    async with serve((register_echo, echo, ECHO)) as channel:
        both: Any = channel.stream_stream(f"/{ECHO}/Both")
        assert [word async for word in both(say(b"a", b"b"), timeout=5)] == [b"a", b"b"]
        heard = []
        with pytest.raises(errors.ConflictError, match="said_fail"):
            async for word in both(say(b"a", b"fail"), timeout=5):
                heard.append(word)
        assert heard == [b"a"]
        with pytest.raises(ValueError, match="needs a timeout"):
            both(say(b"a"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
async def test_every_error_comes_back_from_every_kind_of_call(kind: type[errors.SealpostError]) -> None:
    async with serve(registration(Storage(kind("a_reason", retry_after=7)))) as channel:
        with pytest.raises(kind) as unary:
            await stub(channel).Append(APPEND, timeout=5)
        with pytest.raises(kind) as upload:
            await stub(channel).Stage(blocks(b"a", b"b", b"c"), timeout=5)
        received = []
        with pytest.raises(kind) as download:
            async for block in stub(channel).GetBody(GET, timeout=5):
                received.append(block.data)
        assert received == [b"\0", b"\1"]
        stream: Any = stub(channel).GetBody(GET, timeout=5)
        with pytest.raises(kind) as read:
            while await stream.read():
                pass
    for raised in (unary, upload, download, read):
        assert type(raised.value) is kind
        assert (raised.value.reason, raised.value.retry_after) == ("a_reason", 7.0)


@pytest.mark.parametrize("error", [KeyError("ada@example.org"), TimeoutError("ada@example.org")])
async def test_what_is_not_of_the_tree_is_internal_and_silent(error: Exception) -> None:
    async with serve(registration(Storage(error))) as channel:
        for call in (stub(channel).Append(APPEND, timeout=5), stub(channel).Stage(blocks(b"", b""), timeout=5)):
            with pytest.raises(errors.InternalError, match="internal") as raised:
                await call
            assert isinstance(raised.value.__cause__, grpc.aio.AioRpcError)
            assert "ada" not in str(raised.value.__cause__)
        with pytest.raises(errors.InternalError):
            _ = [block async for block in stub(channel).GetBody(GET, timeout=5)]


async def test_a_method_left_out_is_unimplemented() -> None:
    async with serve(registration(Storage())) as channel:
        with pytest.raises(errors.InternalError, match="unimplemented"):
            await stub(channel).GetMailbox(pb.GetMailboxRequest(), timeout=5)


async def test_a_call_without_timeout_is_refused_before_it_leaves() -> None:
    servicer = Storage()
    async with serve(registration(servicer)) as channel:
        for call in (
            lambda: stub(channel).Append(APPEND),
            lambda: stub(channel).Stage(blocks(b"a")),
            lambda: stub(channel).GetBody(GET),
        ):
            with pytest.raises(ValueError, match="needs a timeout"):
                call()
    assert servicer.callers == []


async def test_a_deadline_that_passes() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with serve(registration(servicer)) as channel:
        with pytest.raises(errors.UnavailableError, match="deadline"):
            await stub(channel).Append(APPEND, timeout=0.2)
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        servicer.cancelled.clear()
        with pytest.raises(errors.UnavailableError, match="deadline"):
            _ = [block async for block in stub(channel).GetBody(GET, timeout=0.2)]
        await asyncio.wait_for(servicer.cancelled.wait(), 5)


async def test_a_caller_that_is_cancelled_cancels_the_handler() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with serve(registration(servicer)) as channel:

        async def call() -> None:
            await stub(channel).Append(APPEND, timeout=30)

        async def read() -> None:
            async for _ in stub(channel).GetBody(GET, timeout=30):
                pass

        for work in (call(), read()):
            task = asyncio.create_task(work)
            await asyncio.wait_for(servicer.entered.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(servicer.cancelled.wait(), 5)
            servicer.entered.clear()
            servicer.cancelled.clear()


async def test_leaving_a_stream_early_cancels_the_handler() -> None:
    servicer = Storage(blocks=1)
    servicer.hold = asyncio.Event()
    async with serve(registration(servicer)) as channel:
        responses = aiter(stub(channel).GetBody(GET, timeout=30))
        assert (await anext(responses)).data == b"\0"
        await asyncio.wait_for(servicer.entered.wait(), 5)
        await responses.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(servicer.cancelled.wait(), 5)


async def test_a_failure_while_sending_comes_out_as_itself() -> None:
    async with serve(registration(Storage())) as channel:
        with pytest.raises(errors.InvalidError, match="own_fault"):
            await stub(channel).Stage(blocks(b"a", error=errors.InvalidError("own_fault")), timeout=5)
        with pytest.raises(ZeroDivisionError):
            await stub(channel).Stage((pb.StageBlock(data=bytes(1 // n)) for n in (1, 0)), timeout=5)
        assert (await stub(channel).Stage(blocks(b"a"), timeout=5)).size == 1


async def test_the_largest_message_passes_and_a_larger_one_does_not() -> None:
    class Large(Storage):
        async def List(self, request: Any, context: Any) -> Any:
            return pb.ListResponse(messages=[pb.Message(envelope=bytes(request.limit))])

    async with serve(registration(Large())) as channel:
        mebibyte = 1024 * 1024
        large = pb.AppendRequest(deliveries=[pb.Delivery(messages=[pb.NewMessage(body=bytes(71 * mebibyte))])])
        assert len((await stub(channel).Append(large, timeout=30)).results) == 1
        large.deliveries[0].messages[0].body += bytes(mebibyte)
        with pytest.raises(errors.InvalidError, match="message_too_large"):
            await stub(channel).Append(large, timeout=30)
        assert len((await stub(channel).List(pb.ListRequest(limit=71 * mebibyte), timeout=30)).messages) == 1
        with pytest.raises(errors.InvalidError, match="message_too_large"):
            await stub(channel).List(pb.ListRequest(limit=72 * mebibyte), timeout=30)


async def test_a_channel_that_is_closed() -> None:
    async with serve(registration(Storage())) as channel:
        await stub(channel).Append(APPEND, timeout=5)
    with pytest.raises(errors.UnavailableError, match="channel_closed"):
        await stub(channel).Append(APPEND, timeout=1)
