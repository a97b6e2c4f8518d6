"""A data owner in another process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from libs.owner.model import Erased, Subject
from libs.policy.terms import Version
from protos.owner.v1 import owner_pb2 as pb
from services.retention.domain.ports import EraseAnswer, ExportWanted, Held, Part, SweepAnswer

if TYPE_CHECKING:
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub

_SECONDS = 15.0
# One batch: an owner that needs longer is asked for less the next time.
_BATCH_SECONDS = 60.0
_EXPORT_SECONDS = 3600.0
_TRACES_SECONDS = 120.0


class RemoteOwner:
    """domain.ports.DataOwner over gRPC."""

    def __init__(self, service: str, stub: DataOwnerAsyncStub) -> None:
        """Call `service` through `stub`."""
        self._service = service
        self._stub = stub

    @property
    def service(self) -> str:
        """See DataOwner."""
        return self._service

    async def inventory(self) -> Sequence[Held]:
        """See DataOwner."""
        answer = await self._stub.Inventory(pb.InventoryRequest(), timeout=_SECONDS)
        return [Held(one.data_class, one.count, one.at_least, one.first_due, one.erasing) for one in answer.held]

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """See DataOwner."""
        request = pb.SweepRequest(data_class=data_class, until=until, limit=limit)
        answer = await self._stub.Sweep(request, timeout=_BATCH_SECONDS)
        return SweepAnswer(answer.deleted, answer.more)

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """See DataOwner."""
        answer = await self._stub.Erase(pb.EraseRequest(subject=_subject(subject), limit=limit), timeout=_BATCH_SECONDS)
        erased = {
            one.data_class: Erased(deleted=one.count, keys=one.keys, kept=one.kept, kept_until_day=one.kept_until_day)
            for one in answer.erased
        }
        return EraseAnswer(erased, answer.more)

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """See DataOwner."""
        answer = await self._stub.Traces(pb.TracesRequest(needles=needles), timeout=_TRACES_SECONDS)
        return list(answer.found), answer.searched_bytes

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """See DataOwner."""
        terms = [pb.Terms(version=one.version, rules=one.rules, active=one.active) for one in versions]
        await self._stub.PutTerms(pb.PutTermsRequest(terms=terms), timeout=_SECONDS)

    async def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """See DataOwner."""
        request = pb.ExportRequest(
            subject=_subject(subject),
            data_classes=wanted.data_classes,
            since=wanted.since,
            until=wanted.until,
            disclosure=wanted.disclosure,
        )
        async for one in self._stub.Export(request, timeout=_EXPORT_SECONDS):
            yield Part(one.data_class, one.name, one.kind, one.data, one.last)


def _subject(subject: Subject) -> pb.Subject:
    return pb.Subject(account_id=subject.account_id, mailbox_id=subject.mailbox_id)
