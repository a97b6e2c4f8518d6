"""Public inboxes: no registration, visible to everybody, and every answer says so.

An address stands in the path, percent-encoded where it must be; a slash in it need not be. What is answered is the
canonical form of the address (accounts knows it), never the text that came in.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.runtime.clock import Clock
from libs.runtime.errors import NotFoundError
from libs.telemetry.logs import get_logger
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.storage.v1 import storage_pb2
from services.gateway import readers
from services.gateway.http import models, translate
from services.gateway.http.bodies import Bodies, OpenedBody, opened
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import Cursor, Limit, find_message, require_id
from services.gateway.http.openapi import binary, errors
from services.gateway.http.recording import noted_in
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1/public/{address:path}", tags=["public inboxes"])
NOTICE = (
    "This inbox is public: everybody who knows or guesses the address can read and delete what arrives here. "
    "Do not use it for anything private."
)
_LONGEST_ADDRESS = 320
_KEPT_SECONDS = 30.0
_MOST_KEPT = 4096
_log = get_logger("public")
_RAW = binary("application/octet-stream", "The mail, as it arrived.")


class Routes:
    """Where public inboxes are, remembered for seconds: a page that shows one asks again and again.

    It follows from the address and the settings of accounts alone, so what is remembered cannot become wrong.
    Nothing is remembered of addresses that are no public inbox.
    """

    def __init__(self, clock: Clock) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, accounts_pb2.Route]] = OrderedDict()

    async def find(self, peers: Peers, address: str) -> accounts_pb2.Route:
        """Return the route of `address`; NotFoundError("not_public") if it is no public inbox."""
        now = self._clock.monotonic()
        until, route = self._known.get(address, (now, None))
        if route is not None and until > now:
            return route
        route = await _ask(peers, address)
        self._known[address] = (now + _KEPT_SECONDS, route)
        self._known.move_to_end(address)
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return route


async def _ask(peers: Peers, address: str) -> accounts_pb2.Route:
    if len(address) > _LONGEST_ADDRESS:
        raise NotFoundError("not_public")
    answer = await peers.accounts.Resolve(accounts_pb2.ResolveRequest(addresses=[address]), timeout=peers.timeout)
    route = answer.routes[0]
    if route.status != accounts_pb2.Route.STATUS_OK or route.profile != common_pb2.PROFILE_PUBLIC:
        raise NotFoundError("not_public")
    return route


async def public_route(request: Request, address: str) -> accounts_pb2.Route:
    """Return where the public inbox `address` is; NotFoundError("not_public") for any other address."""
    routes: Routes = request.app.state.routes
    route, noted = await routes.find(peers_of(request), address), noted_in(request.scope)
    noted.unit, noted.profile = route.mailbox_id, route.profile
    return route


@router.get("/messages", responses=errors(404))
async def list_public(
    address: str, request: Request, cursor: Cursor = "", limit: Limit = 50
) -> models.PublicMessagesOut:
    """Return a page of a public inbox, newest first."""
    peers = peers_of(request)
    route = await public_route(request, address)
    wanted = storage_pb2.ListRequest(mailbox_id=route.mailbox_id, limit=limit, cursor=cursor)
    page = await peers.storage.List(wanted, timeout=peers.timeout)
    opened_envelopes = await _open_envelopes(peers, page.messages)
    return models.PublicMessagesOut(
        notice=NOTICE,
        address=route.address,
        messages=[translate.public_message(entry, envelope) for entry, envelope in opened_envelopes],
        next_cursor=page.next_cursor or None,
    )


async def _open_envelopes(
    peers: Peers, messages: Sequence[storage_pb2.Message]
) -> list[tuple[storage_pb2.Message, dict[str, object]]]:
    if not messages:
        return []
    request = crypto_pb2.OpenRequest()
    for entry in messages:
        request.items.add(
            key_id=entry.key_id,
            message_id=entry.message_id,
            field=crypto_pb2.SEALED_FIELD_ENVELOPE,
            ciphertext=entry.envelope,
        )
    answer = await peers.crypto.Open(request, timeout=peers.timeout)
    found = []
    for entry, result in zip(messages, answer.results, strict=True):
        try:
            found.append((entry, _read_envelope(opened(result))))
        except NotFoundError:
            # A mail whose key is destroyed has expired, whatever is still stored of it.
            continue
    return found


def _read_envelope(plaintext: bytes) -> dict[str, object]:
    """Return the envelope; one that cannot be read must not hide the others."""
    try:
        envelope = json.loads(plaintext)
    except ValueError as error:
        _log.error("envelope_unreadable", error=error)
        envelope = None
    return envelope if isinstance(envelope, dict) else {"v": 1, "unparsed": True}


@router.get("/messages/{message_id}")
async def get_public(address: str, message_id: str, request: Request) -> models.PublicMessage:
    """Return one message of a public inbox without its body."""
    peers = peers_of(request)
    route = await public_route(request, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    found = await _open_envelopes(peers, [message])
    if not found:
        raise NotFoundError("key_destroyed")
    return translate.public_message(*found[0])


@router.get("/messages/{message_id}/raw", response_class=Response, responses=_RAW)
async def get_raw(address: str, message_id: str, request: Request) -> OpenedBody:
    """Return the mail as it arrived; never as something that a browser would show."""
    bodies: Bodies = request.app.state.bodies
    route = await public_route(request, address)
    message = await find_message(bodies.peers, route.mailbox_id, message_id)
    return OpenedBody(bodies, route.mailbox_id, message)


@router.get("/messages/{message_id}/readers")
async def get_public_readers(address: str, message_id: str, request: Request) -> models.ReadersOut:
    """Say who can read this message: everybody."""
    peers = peers_of(request)
    route = await public_route(request, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    return translate.readers(readers.of_public(message))


@router.delete("/messages/{message_id}", status_code=204)
async def delete_public(address: str, message_id: str, request: Request) -> None:
    """Delete one message; anybody may, as anybody may read."""
    peers = peers_of(request)
    route = await public_route(request, address)
    gone = storage_pb2.DeleteMessagesRequest(mailbox_id=route.mailbox_id, message_ids=[require_id(message_id)])
    answer = await peers.storage.DeleteMessages(gone, timeout=peers.timeout)
    if answer.not_found:
        raise NotFoundError("message")
