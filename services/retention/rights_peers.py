"""What versions and cases ask of accounts and delivery, over gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from libs.owner.model import Subject
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError
from libs.telemetry.logs import get_logger
from protos.accounts.v1 import accounts_pb2 as pb
from protos.common.v1 import common_pb2
from protos.delivery.v1.delivery_pb2 import SendPlatformMailRequest
from services.retention.domain.versions import Letter, Marking, NoticeState

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub

_SECONDS = 15.0

_log = get_logger("rights")


class AccountsNotices:
    """domain.versions.NoticeBook and domain.cases.Subjects."""

    def __init__(self, stub: AccountsAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def unnoticed(self, version: int, profiles: Sequence[str], limit: int) -> Sequence[str]:
        """See NoticeBook."""
        request = pb.ListUnnoticedRequest(version=version, profiles=_profiles(profiles), limit=limit)
        return list((await self._stub.ListUnnoticed(request, timeout=_SECONDS)).account_ids)

    async def mark(self, marking: Marking, account_ids: Sequence[str]) -> None:
        """See NoticeBook."""
        request = pb.MarkNoticedRequest(
            version=marking.version,
            account_ids=account_ids,
            at=marking.at,
            effective=marking.effective,
            old_terms_until=marking.old_terms_until,
            profiles=_profiles(marking.profiles),
        )
        await self._stub.MarkNoticed(request, timeout=_SECONDS)

    async def withdraw(self, version: int, profiles: Sequence[str]) -> None:
        """See NoticeBook."""
        request = pb.MarkNoticedRequest(version=version, profiles=_profiles(profiles), withdrawn=True)
        await self._stub.MarkNoticed(request, timeout=_SECONDS)

    async def state(self, version: int, profiles: Sequence[str], before: int) -> NoticeState:
        """See NoticeBook."""
        request = pb.GetNoticeStateRequest(version=version, profiles=_profiles(profiles), before=before)
        answer = await self._stub.GetNoticeState(request, timeout=_SECONDS)
        return NoticeState(answer.complete, answer.noticed, answer.refused)

    async def find(self, address: str) -> Subject:
        """See Subjects."""
        answer = await self._stub.FindAccount(pb.FindAccountRequest(address=address), timeout=_SECONDS)
        return Subject(answer.account_id, answer.mailbox_id)


class PlatformLetters:
    """domain.versions.Letters."""

    def __init__(self, stub: DeliveryAsyncStub, purposes: Mapping[str, str]) -> None:
        """Take the stub, and the purpose of each letter by name."""
        self._stub = stub
        self._purposes = purposes

    async def send(self, letter: Letter) -> bool:
        """See Letters. What delivery will never take is told like what it must not send: by the banner alone."""
        request = SendPlatformMailRequest(
            notice_id=letter.notice_id,
            account_id=letter.account_id,
            purpose=self._purposes[letter.name],
            letter=letter.name,
            fields=letter.fields,
        )
        try:
            await self._stub.SendPlatformMail(request, timeout=_SECONDS)
        except (DeniedError, NotFoundError):
            return False
        except InvalidError as error:
            _log.error("letter_refused", error=error)
            return False
        return True


def _profiles(names: Sequence[str]) -> list[common_pb2.Profile.ValueType]:
    return [common_pb2.Profile.Value(f"PROFILE_{name.upper()}") for name in names]
