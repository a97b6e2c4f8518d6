"""The storage service as a process: who may call what, and what gateway and delivery add to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message_factory import GetMessageClass

from libs.runtime.errors import ConflictError, DeniedError
from libs.runtime.ids import new_id
from protos.storage.v1 import storage_pb2 as pb
from services.storage.rpc import CALLERS

if TYPE_CHECKING:
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub

from tests.support.storage_process import CALLING, Wire, mail, running, staging


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with running(tmp_path) as running_wire:
        yield running_wire


async def test_each_method_is_for_its_caller(wire: Wire) -> None:
    async def nothing() -> AsyncIterator[pb.StageBlock]:
        return
        yield pb.StageBlock()

    descriptor = pb.DESCRIPTOR.services_by_name["Storage"]
    assert {method.name for method in descriptor.methods} == CALLERS.keys()
    for name, callers in CALLERS.items():
        method = descriptor.methods_by_name[name]
        for other in set(CALLING) - set(callers):
            request = nothing() if method.client_streaming else GetMessageClass(method.input_type)()
            call = getattr(getattr(wire, other), name)(request, timeout=5)
            with pytest.raises(DeniedError, match=r"^caller$"):
                await (anext(aiter(call)) if method.server_streaming else call)


async def test_those_who_bring_mail_may(wire: Wire) -> None:
    alice = new_id()
    for who in CALLERS["Append"]:
        copy = mail(alice, body=b"", body_staged=True, flags=["seen"], folder="sent")
        stub: StorageAsyncStub = getattr(wire, who)
        await stub.Stage(staging(copy.messages[0], b"sealed body"), timeout=20)
        (result,) = (await stub.Append(pb.AppendRequest(deliveries=[copy]), timeout=20)).results
        assert result.HasField("appended")
    page = await wire.gateway.List(pb.ListRequest(mailbox_id=alice, folder="sent"), timeout=20)
    assert [list(message.flags) for message in page.messages] == [["seen"]] * 3


async def test_a_wrong_flag_fails_alone(wire: Wire) -> None:
    assert await wire.append(mail(new_id(), flags=["starred"]), mail(new_id())) == ["invalid:flag", "ok"]


async def test_objects_are_kept_by_version(wire: Wire) -> None:
    alice = new_id()
    put = pb.PutObjectRequest(mailbox_id=alice, name="contacts", sealed=b"sealed contacts")
    version = (await wire.gateway.PutObject(put, timeout=20)).version
    kept = await wire.gateway.GetObject(pb.GetObjectRequest(mailbox_id=alice, name="contacts"), timeout=20)
    assert (kept.sealed, kept.version) == (b"sealed contacts", version)
    with pytest.raises(ConflictError, match=r"^version$"):
        await wire.gateway.PutObject(put, timeout=20)
