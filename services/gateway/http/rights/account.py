"""What an account's owner has agreed to, how he may be reached, what he was told, and the erasure of all of it.

Erasure takes the password again: with a session alone, somebody at an unlocked computer could end an account. Undoing
it takes a session only, for it brings back what was there.
"""

from __future__ import annotations

from fastapi import APIRouter, Request

from libs.runtime.ids import new_id
from protos.accounts.v1 import accounts_pb2
from protos.retention.v1 import retention_pb2
from protos.storage.v1 import storage_pb2
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors
from services.gateway.http.rights import models, translate
from services.gateway.http.rights.letters import Letter, day_of, tell

router = APIRouter(prefix="/v1", tags=["rights"])


@router.get("/rights", responses=errors(404))
async def get_rights(caller: InSession, request: Request) -> models.Rights:
    """Return consents, contact address, a running erasure, and a policy that waits for an answer."""
    peers = peers_of(request)
    wanted = accounts_pb2.GetRightsRequest(account_id=caller.account_id)
    return translate.rights(await peers.accounts.GetRights(wanted, timeout=peers.timeout))


@router.put("/rights/consents", responses=errors(404, 409))
async def put_consents(given: models.ConsentsIn, caller: InSession, request: Request) -> models.Rights:
    """Give or take back consents; all are off unless they were given here."""
    peers = peers_of(request)
    consents = [
        accounts_pb2.Consent(purpose=purpose, given=answer)
        for purpose, answer in (("newsletter", given.newsletter), ("contact", given.contact))
        if answer is not None
    ]
    wanted = accounts_pb2.PutConsentsRequest(account_id=caller.account_id, consents=consents)
    return translate.rights(await peers.accounts.PutConsents(wanted, timeout=peers.timeout))


@router.put("/rights/contact", responses=errors(404, 409))
async def put_contact(given: models.ContactIn, caller: InSession, request: Request) -> models.Rights:
    """Keep another address at which the owner wants to be reached, or none."""
    peers = peers_of(request)
    wanted = accounts_pb2.PutContactRequest(account_id=caller.account_id, contact=given.contact)
    return translate.rights(await peers.accounts.PutContact(wanted, timeout=peers.timeout))


@router.post("/rights/notice", responses=errors(404, 409))
async def answer_notice(given: models.NoticeIn, caller: InSession, request: Request) -> models.Rights:
    """Accept or refuse an announced version of the policy; who refuses keeps the old terms until the date shown."""
    peers = peers_of(request)
    wanted = accounts_pb2.AnswerNoticeRequest(account_id=caller.account_id, version=given.version, accept=given.accept)
    return translate.rights(await peers.accounts.AnswerNotice(wanted, timeout=peers.timeout))


@router.get("/rights/disclosures")
async def list_told_disclosures(caller: InSession, request: Request) -> models.ToldOut:
    """Return the disclosures of this account's data that its owner may know of."""
    peers = peers_of(request)
    wanted = retention_pb2.ListToldRequest(account_id=caller.account_id)
    found = await peers.retention.ListTold(wanted, timeout=peers.timeout)
    return models.ToldOut(disclosures=[translate.told(one) for one in found.told])


@router.delete("/rights/preferences", status_code=204, responses=errors(404))
async def forget_preferences(caller: InSession, request: Request) -> None:
    """Forget the settings of the page now, instead of when nobody has come for long."""
    peers = peers_of(request)
    wanted = storage_pb2.DeleteObjectRequest(mailbox_id=caller.mailbox_id, name="settings")
    await peers.storage.DeleteObject(wanted, timeout=peers.timeout)


@router.post("/account/erasure", status_code=202, responses=errors(404, 409))
async def request_erasure(given: models.ErasureIn, caller: InSession, request: Request) -> models.Erasure:
    """Erase this account and everything in it once the grace is over; the token finds the receipt afterwards."""
    peers = peers_of(request)
    wanted = accounts_pb2.RequestErasureRequest(
        account_id=caller.account_id, current_authentication_key=given.current_authentication_key
    )
    asked = await peers.accounts.RequestErasure(wanted, timeout=peers.timeout)
    fields = {"due": day_of(asked.due), "receipt_token": asked.receipt_token}
    await tell(peers, caller.account_id, Letter("rights", "erasure_asked", f"asked/{asked.asked_at}", fields))
    return translate.erasure(asked)


@router.delete("/account/erasure", status_code=204, responses=errors(404, 409))
async def cancel_erasure(caller: InSession, request: Request) -> None:
    """Keep the account after all; 409 once the grace is over."""
    peers = peers_of(request)
    wanted = accounts_pb2.CancelErasureRequest(account_id=caller.account_id)
    await peers.accounts.CancelErasure(wanted, timeout=peers.timeout)
    await tell(peers, caller.account_id, Letter("rights", "erasure_cancelled", new_id()))


@router.get("/erasures/{token}")
async def get_receipt(token: str, request: Request) -> models.Receipt:
    """Return what has become of an erasure; the token is all the proof there is, since the account is gone."""
    peers = peers_of(request)
    wanted = retention_pb2.GetReceiptRequest(token=token)
    return translate.receipt(await peers.retention.GetReceipt(wanted, timeout=peers.timeout))
