"""Storage at its RPC interface, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.runtime.errors import ConflictError, NotFoundError
from protos.common.v1 import common_pb2
from protos.storage.v1 import storage_pb2


@dataclass
class FakeStorage:
    """Messages by mailbox."""

    messages: dict[str, list[storage_pb2.Message]] = field(default_factory=dict)
    body: bytes = b"sealed:Subject: hello\r\n\r\n<script>alert(1)</script>\r\n"
    block_bytes: int = 20
    appended: list[storage_pb2.NewMessage] = field(default_factory=list)
    staged: dict[str, bytes] = field(default_factory=dict)
    objects: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    append_failure: common_pb2.Failure | None = None

    async def Append(self, request: storage_pb2.AppendRequest, timeout: float) -> storage_pb2.AppendResponse:
        results = []
        for delivery in request.deliveries:
            if self.append_failure is not None:
                results.append(storage_pb2.AppendResult(failure=self.append_failure))
                continue
            known = {one.message_id for one in self.appended}
            self.appended += [one for one in delivery.messages if one.message_id not in known]
            results.append(storage_pb2.AppendResult(appended=storage_pb2.Appended()))
        return storage_pb2.AppendResponse(results=results)

    async def Stage(self, blocks: AsyncIterator[storage_pb2.StageBlock], timeout: float) -> storage_pb2.StageResponse:
        data, name = bytearray(), ""
        async for block in blocks:
            name = name or block.message_id
            assert len(block.data) <= 256 * 1024
            data += block.data
        self.staged[name] = bytes(data)
        return storage_pb2.StageResponse(size=len(data))

    async def GetObject(self, request: storage_pb2.GetObjectRequest, timeout: float) -> storage_pb2.Object:
        sealed, version = self.objects.get((request.mailbox_id, request.name), (b"", 0))
        return storage_pb2.Object(sealed=sealed, version=version)

    async def PutObject(self, request: storage_pb2.PutObjectRequest, timeout: float) -> storage_pb2.Object:
        key = (request.mailbox_id, request.name)
        if self.objects.get(key, (b"", 0))[1] != request.version:
            raise ConflictError("version")
        self.objects[key] = (request.sealed, request.version + 1)
        return storage_pb2.Object(version=request.version + 1)

    async def List(self, request: storage_pb2.ListRequest, timeout: float) -> storage_pb2.ListResponse:
        return storage_pb2.ListResponse(messages=self.messages.get(request.mailbox_id, []))

    async def GetMessage(self, request: storage_pb2.GetMessageRequest, timeout: float) -> storage_pb2.Message:
        for message in self.messages.get(request.mailbox_id, []):
            if message.message_id == request.message_id:
                return message
        raise NotFoundError("message")

    def GetBody(self, request: storage_pb2.GetMessageRequest, timeout: float) -> AsyncIterator[storage_pb2.BodyBlock]:
        return self._blocks(request, timeout)

    async def _blocks(
        self, request: storage_pb2.GetMessageRequest, timeout: float
    ) -> AsyncIterator[storage_pb2.BodyBlock]:
        message = await self.GetMessage(request, timeout)
        yield storage_pb2.BodyBlock(message=message)
        for start in range(0, len(self.body), self.block_bytes):
            yield storage_pb2.BodyBlock(data=self.body[start : start + self.block_bytes])

    async def DeleteMessages(
        self, request: storage_pb2.DeleteMessagesRequest, timeout: float
    ) -> storage_pb2.DeleteMessagesResponse:
        before = self.messages.get(request.mailbox_id, [])
        kept = [entry for entry in before if entry.message_id not in request.message_ids]
        self.messages[request.mailbox_id] = kept
        gone = {entry.message_id for entry in before if entry not in kept}
        return storage_pb2.DeleteMessagesResponse(not_found=[one for one in request.message_ids if one not in gone])
