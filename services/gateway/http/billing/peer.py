"""Billing as the routes see it: the stub, how long to wait for it, and whom a call is about.

An installation may run without billing. Its routes are there all the same, so that a program is told what is missing
instead of finding nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request

from libs.runtime.errors import NotFoundError, UnavailableError
from protos.billing.v1 import billing_pb2 as pb
from services.gateway.http.caller import Caller, peers_of

if TYPE_CHECKING:
    from protos.billing.v1.billing_pb2_grpc import BillingAsyncStub

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=200)]
_LONGEST_NAME = 64


def billing_of(request: Request) -> tuple[BillingAsyncStub, float]:
    """Return the stub and its deadline in seconds. Raises: UnavailableError("billing_unavailable") without billing."""
    peers = peers_of(request)
    if peers.billing is None:
        raise UnavailableError("billing_unavailable")
    return peers.billing, peers.timeout


def account_of(caller: Caller) -> pb.AccountRequest:
    """Return whom a call is about."""
    return pb.AccountRequest(account_id=caller.account_id, mailbox_id=caller.mailbox_id, profile=caller.profile)


def name_of(text: str, what: str) -> str:
    """Return what a path names. Raises: NotFoundError(`what`) where it can be the name of none."""
    if not (0 < len(text) <= _LONGEST_NAME and text.isascii() and text.replace("-", "").replace("_", "").isalnum()):
        raise NotFoundError(what)
    return text
