"""The services that only ingest calls in this way: accounts for app passwords, delivery for mail that goes out.

As in libs.mailbox.peers, submissions of all sessions meet in a batcher, and one item's failure is that item's alone.
A Submit that is cut off may have been carried out; the client could only be told to come again, and the mail would be
sent twice. So the same call is made once more, until delivery is back and says how it is: what it has by these ids
already it does not take again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from libs.allowance import SENDS, Account, Allowances
from libs.mail.verdict import Verdict
from libs.rpc.settling import SETTLE_SECONDS, settled
from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock
from libs.runtime.errors import InternalError, InvalidError, UnauthenticatedError, from_code
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from services.ingest.domain import Proof, Submission, Submitter
from services.ingest.forwarding import ForwardCopy

_MIB = 1024 * 1024
_SCOPE = "smtp:send"
_SIGN_IN_SECONDS = 10.0
_ASK_SECONDS = 5.0
_SUBMIT_SECONDS = 60.0
_REPORT_SECONDS = 60.0
# It gains nothing from company, and the small ones need not wait for it.
_ALONE_BYTES = 512 * 1024
# A submission is work for delivery however small it is, and so is each of its recipients.
_WEIGHT = 4096
_RECIPIENT_WEIGHT = 256
_MAX_SENDERS = 10_000
# A submission waits for company for as long as a short write to the disk: calls and commits are fewer by that.
_GATHER_SECONDS = 0.004


class ProofsClient:
    """domain.Proofs over gRPC. Remembers nothing."""

    def __init__(self, stub: accounts_pb2_grpc.AccountsAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def sign_in(self, proof: Proof) -> Submitter:
        """See domain.Proofs."""
        password = accounts_pb2.AppPassword(address=proof.address, password=proof.password.reveal())
        request = accounts_pb2.AuthenticateRequest(app_password=password)
        principal = await self._stub.Authenticate(request, timeout=_SIGN_IN_SECONDS)
        if _SCOPE not in principal.scopes:
            raise UnauthenticatedError("scope")
        relay = principal.profile == common_pb2.PROFILE_RELAY
        return Submitter(principal.account_id, principal.profile, relay, principal.terms)


class PlannedSends:
    """domain.Sends by libs.allowance."""

    def __init__(self, allowances: Allowances) -> None:
        """Ask `allowances`."""
        self._allowances = allowances

    async def take(self, submitter: Submitter, units: int) -> None:
        """See domain.Sends."""
        await self._allowances.allow(_account(submitter), SENDS, units)

    def give_back(self, submitter: Submitter, units: int) -> None:
        """See domain.Sends."""
        self._allowances.give_back(_account(submitter), SENDS, units)


def _account(submitter: Submitter) -> Account:
    name = common_pb2.Profile.Name(common_pb2.Profile.ValueType(submitter.profile))
    return Account(submitter.account_id, name.removeprefix("PROFILE_").lower())


class DeliveryClient:
    """domain.Outbox and domain.ReturnPaths over gRPC, with a small memory of senders."""

    def __init__(
        self,
        stub: delivery_pb2_grpc.DeliveryAsyncStub,
        senders: SenderMemory,
        large_done: Callable[[], None],
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """Take the stub, what to do when a large mail is done with, and for how long a cut-off Submit is repeated."""
        self._stub = stub
        self._senders = senders
        self._large_done = large_done
        self._settle_seconds = settle_seconds
        # A large mail is in memory several times over while it is sent on: one at a time.
        self._large = asyncio.Semaphore(1)
        self._submissions: Batcher[Submission, str] = Batcher(
            self._submit,
            max_items=128,
            max_weight=8 * _MIB,
            weigh=_weight,
            max_delay=_GATHER_SECONDS,
            concurrency=2,
            max_queued=256 * _MIB,
        )
        self._paths: Batcher[str, bool] = Batcher(
            self._resolve,
            max_items=100,
            max_weight=100,
            weigh=lambda _: 1,
            max_delay=0.0,
            concurrency=2,
            max_queued=5000,
        )

    async def may_send(self, account_id: str, sender: str) -> bool:
        """See domain.Outbox. An answer is remembered for seconds."""
        remembered = self._senders.get(account_id, sender)
        if remembered is not None:
            return remembered
        request = delivery_pb2.AuthorizeSendersRequest(account_id=account_id, addresses=[sender])
        try:
            response = await self._stub.AuthorizeSenders(request, timeout=_ASK_SECONDS)
        except InvalidError:
            # Not an address that anybody here could have.
            return False
        if len(response.allowed) != 1:
            raise InternalError("delivery_results")
        self._senders.put(account_id, sender, response.allowed[0])
        return response.allowed[0]

    async def submit(self, submission: Submission) -> str:
        """See domain.Outbox."""
        if len(submission.content) < _ALONE_BYTES:
            return await self._submissions.submit(submission)
        async with self._large:
            try:
                (result,) = await self._submit([submission])
            finally:
                self._large_done()
        if isinstance(result, Exception):
            raise result
        return result

    async def known(self, address: str) -> bool:
        """See domain.ReturnPaths."""
        return await self._paths.submit(address)

    async def take(self, address: str, content: bytearray) -> None:
        """See domain.ReturnPaths."""
        if len(content) < _ALONE_BYTES:
            return await self._take(address, content)
        async with self._large:
            try:
                await self._take(address, content)
            finally:
                self._large_done()

    async def forward(self, copy: ForwardCopy) -> bool:
        """See forwarding.Forwards. Cut off, it is repeated: the same mail again changes nothing."""
        request = delivery_pb2.ForwardRequest(
            account_id=copy.account_id,
            domain=copy.domain,
            mail_from=copy.sender,
            recipients=copy.recipients,
            content=copy.content,
            digest=copy.digest,
            smtputf8=copy.smtputf8,
            terms=copy.terms,
            checks=_checks(copy.verdict),
        )
        if len(copy.content) < _ALONE_BYTES:
            return await self._forward(request)
        async with self._large:
            try:
                return await self._forward(request)
            finally:
                self._large_done()

    async def withdraw(self, copy: ForwardCopy) -> None:
        """See forwarding.Forwards."""
        request = delivery_pb2.WithdrawForwardRequest(account_id=copy.account_id, digest=copy.digest)
        await self._stub.WithdrawForward(request, timeout=_ASK_SECONDS)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._submissions.close()
        await self._paths.close()

    async def _take(self, address: str, content: bytearray) -> None:
        request = delivery_pb2.TakeReportRequest(address=address, content=bytes(content))
        await self._stub.TakeReport(request, timeout=_REPORT_SECONDS)

    async def _forward(self, request: delivery_pb2.ForwardRequest) -> bool:
        response = await settled(lambda: self._stub.Forward(request, timeout=_SUBMIT_SECONDS), self._settle_seconds)
        return not response.limited

    async def _resolve(self, addresses: Sequence[str]) -> Sequence[bool | Exception]:
        request = delivery_pb2.ResolveReturnPathRequest(addresses=addresses)
        response = await self._stub.ResolveReturnPath(request, timeout=_ASK_SECONDS)
        refusals = response.refusals or [""] * len(response.known)
        return [InvalidError(why) if why else known for known, why in zip(response.known, refusals, strict=True)]

    async def _submit(self, submissions: Sequence[Submission]) -> Sequence[str | Exception]:
        request = delivery_pb2.SubmitRequest(items=[_item(one) for one in submissions])
        response = await settled(lambda: self._stub.Submit(request, timeout=_SUBMIT_SECONDS), self._settle_seconds)
        if len(response.results) != len(submissions):
            raise InternalError("delivery_results")
        return [_result(result) for result in response.results]


class SenderMemory:
    """Which account may send with which address, for seconds, so that a change is soon noticed."""

    def __init__(self, clock: Clock, allowed_seconds: float, refused_seconds: float) -> None:
        """Remember what is allowed for `allowed_seconds`, the rest for `refused_seconds`."""
        self._clock = clock
        self._seconds = {True: allowed_seconds, False: refused_seconds}
        self._answers: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    def get(self, account_id: str, sender: str) -> bool | None:
        """Return the answer, None if it is not remembered."""
        known = self._answers.get((account_id, sender))
        return known[1] if known is not None and known[0] > self._clock.monotonic() else None

    def put(self, account_id: str, sender: str, allowed: bool) -> None:
        """Remember an answer; the oldest ones are forgotten first."""
        self._answers[account_id, sender] = (self._clock.monotonic() + self._seconds[allowed], allowed)
        self._answers.move_to_end((account_id, sender))
        if len(self._answers) > _MAX_SENDERS:
            self._answers.popitem(last=False)


def _weight(submission: Submission) -> int:
    return _WEIGHT + _RECIPIENT_WEIGHT * len(submission.recipients) + len(submission.content)


def _item(submission: Submission) -> delivery_pb2.SubmitItem:
    """Return the item for a submission, which holds its content no longer."""
    content, submission.content = submission.content, bytearray()
    submitter = submission.submitter
    item = delivery_pb2.SubmitItem(
        submission_id=submission.submission_id,
        account_id=submitter.account_id,
        mail_from=submission.sender,
        recipients=submission.recipients,
        content=bytes(content),
        smtputf8=submission.smtputf8,
        terms=submitter.terms,
    )
    # A number here: what it means is between accounts and delivery.
    item.profile = submitter.profile  # type: ignore[assignment]
    return item


def _checks(verdict: Verdict) -> delivery_pb2.SenderChecks:
    return delivery_pb2.SenderChecks(
        spf=verdict.spf, dkim=verdict.dkim, dmarc=verdict.dmarc, arc=verdict.arc, results=verdict.results
    )


def _result(result: delivery_pb2.SubmitResult) -> str | Exception:
    if result.HasField("submitted"):
        return result.submitted.submission_id
    return from_code(result.failure.code, result.failure.reason)
