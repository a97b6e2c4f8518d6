"""Mail is submitted, looked at, cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from libs.runtime.errors import InvalidError, SealpostError
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.domain.model import Order, Profile, Recipient, State
from services.delivery.domain.submission import Submissions, Submitted
from services.delivery.queue.entry import Entry
from services.delivery.queue.trails import MailTrails
from services.delivery.worker.cancelling import Cancelling, shown_state

MAX_ITEMS = 1000
MAX_SENDERS = 100

Context = grpc.aio.ServicerContext[Any, Any]

_PROFILES = {
    common_pb2.PROFILE_SEALED: Profile.SEALED,
    common_pb2.PROFILE_PUBLIC: Profile.PUBLIC,
    common_pb2.PROFILE_MAILING: Profile.MAILING,
    common_pb2.PROFILE_RELAY: Profile.RELAY,
}
_STATES = {
    State.QUEUED: pb.RECIPIENT_STATE_QUEUED,
    State.DELIVERED: pb.RECIPIENT_STATE_DELIVERED,
    State.BOUNCED: pb.RECIPIENT_STATE_BOUNCED,
    State.SUPPRESSED: pb.RECIPIENT_STATE_SUPPRESSED,
    State.CANCELLED: pb.RECIPIENT_STATE_CANCELLED,
    State.EXPIRED: pb.RECIPIENT_STATE_EXPIRED,
}


@dataclass(frozen=True)
class SubmissionParts:
    """What this part of the servicer works with."""

    submissions: Submissions
    trails: MailTrails
    cancelling: Cancelling


class SubmissionRpc(DeliveryServicer):
    """AuthorizeSenders, Submit, GetSubmission, CancelSubmission."""

    _submission: SubmissionParts

    async def AuthorizeSenders(
        self, request: pb.AuthorizeSendersRequest, context: Context
    ) -> pb.AuthorizeSendersResponse:
        """Tell with which addresses an account may send."""
        if len(request.addresses) > MAX_SENDERS:
            raise InvalidError("too_many_addresses")
        allowed = await self._submission.submissions.authorize(request.account_id, request.addresses)
        return pb.AuthorizeSendersResponse(allowed=allowed)

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        """Take mail."""
        if len(request.items) > MAX_ITEMS:
            raise InvalidError("too_many_items")
        results = await self._submission.submissions.submit([_order(item) for item in request.items])
        return pb.SubmitResponse(results=[_result(result) for result in results])

    async def GetSubmission(self, request: pb.GetSubmissionRequest, context: Context) -> pb.Submission:
        """Tell how it stands with a mail."""
        found = await self._submission.trails.of_account(request.account_id, request.submission_id)
        return _submission(*found)

    async def CancelSubmission(self, request: pb.GetSubmissionRequest, context: Context) -> pb.Submission:
        """Cancel what is not sent yet."""
        entry = await self._submission.cancelling.cancel(request.account_id, request.submission_id)
        return _submission(entry, cancelled=True)


def _order(item: pb.SubmitItem) -> Order:
    return Order(
        submission_id=item.submission_id,
        account_id=item.account_id,
        # One that may not send is refused as itself is.
        profile=_PROFILES.get(item.profile, Profile.PUBLIC),
        mail_from=item.mail_from,
        recipients=tuple(item.recipients),
        content=item.content,
        send_at=item.send_at,
        idempotency_key=item.idempotency_key,
        campaign=item.campaign,
        one_click_unsubscribe=item.one_click_unsubscribe,
        smtputf8=item.smtputf8,
        terms=item.terms,
    )


def _result(result: Submitted | SealpostError) -> pb.SubmitResult:
    if isinstance(result, Submitted):
        submitted = pb.Submitted(submission_id=result.submission_id, message_id=result.message_id)
        return pb.SubmitResult(submitted=submitted)
    return pb.SubmitResult(failure=common_pb2.Failure(code=result.code, reason=result.reason))


def _submission(entry: Entry, cancelled: bool) -> pb.Submission:
    mail = entry.mail
    return pb.Submission(
        submission_id=mail.mail_id,
        submitted_at=mail.submitted_at,
        send_at=mail.order.send_at,
        campaign=mail.order.campaign,
        recipients=[_status(one, shown_state(one.state, cancelled)) for one in mail.recipients],
    )


def _status(one: Recipient, state: State) -> pb.RecipientStatus:
    return pb.RecipientStatus(
        address=one.address,
        state=_STATES[state],
        attempts=one.attempts,
        next_attempt=one.due if state is State.QUEUED else 0,
        status=one.status,
    )
