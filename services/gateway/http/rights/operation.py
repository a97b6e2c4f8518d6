"""Versions of the policy and the state of retention, for operators."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from libs.runtime.errors import NotFoundError
from protos.retention.v1 import retention_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.models import In
from services.gateway.http.openapi import errors
from services.gateway.http.rights import models, translate
from services.gateway.http.roles import Holder, OperatorRoute

router = APIRouter(prefix="/v1/operator", tags=["operation"], route_class=OperatorRoute)
# All probes, one after the other.
_PROBES_SECONDS = 120.0
_MOST_DIGITS = 7


class ProbesIn(In):
    clause: Annotated[str, Field(pattern=r"^([A-Z][0-9]{1,2})?$", description="Empty: all of them.")] = ""


@router.get("/policy/versions")
async def list_policy_versions(caller: Holder, request: Request) -> models.VersionsOut:
    """Return the versions of the policy with what changed, the newest first."""
    peers = peers_of(request)
    found = await peers.retention.ListVersions(pb.ListVersionsRequest(), timeout=peers.timeout)
    return models.VersionsOut(versions=[translate.version(one) for one in found.versions])


@router.post("/policy/versions/{version}/announce", responses=errors(409))
async def announce_policy(version: str, caller: Holder, request: Request) -> models.Version:
    """Begin the notices of a proposed version."""
    peers = peers_of(request)
    wanted = pb.VersionRequest(version=_number(version), officer=caller.account_id)
    return translate.version(await peers.retention.AnnounceVersion(wanted, timeout=peers.timeout))


@router.post("/policy/versions/{version}/activate", responses=errors(403, 409))
async def activate_policy(version: str, caller: Holder, request: Request) -> models.Version:
    """Put a version in force; 403 before everybody whom it affects has had its notice for as long as promised."""
    peers = peers_of(request)
    wanted = pb.VersionRequest(version=_number(version), officer=caller.account_id)
    return translate.version(await peers.retention.ActivateVersion(wanted, timeout=peers.timeout))


@router.post("/policy/versions/{version}/withdraw", responses=errors(409))
async def withdraw_policy(version: str, caller: Holder, request: Request) -> models.Version:
    """Take a version back that is not in force yet."""
    peers = peers_of(request)
    wanted = pb.VersionRequest(version=_number(version), officer=caller.account_id)
    return translate.version(await peers.retention.WithdrawVersion(wanted, timeout=peers.timeout))


@router.get("/retention")
async def get_retention(caller: Holder, request: Request) -> models.RetentionState:
    """Return sweeps, classes with their oldest item against the limit, probes, canaries, clock."""
    return await _state(request)


@router.post("/retention/clock", responses=errors(409))
async def confirm_clock(caller: Holder, request: Request) -> models.RetentionState:
    """Say that the clock is right although it has moved; what stood still goes on."""
    peers = peers_of(request)
    await peers.retention.ConfirmClock(pb.ConfirmClockRequest(officer=caller.account_id), timeout=peers.timeout)
    return await _state(request)


@router.post("/retention/probes", responses=errors(404))
async def run_probes(given: ProbesIn, caller: Holder, request: Request) -> models.RetentionState:
    """Look now whether clauses hold."""
    wanted = pb.RunProbesRequest(clause=given.clause, officer=caller.account_id)
    await peers_of(request).retention.RunProbes(wanted, timeout=_PROBES_SECONDS)
    return await _state(request)


def _number(text: str) -> int:
    """Return the number of a version. Raises: NotFoundError("policy_version") for what is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFoundError("policy_version")
    return int(text)


async def _state(request: Request) -> models.RetentionState:
    peers = peers_of(request)
    found, evidence = await asyncio.gather(
        peers.retention.GetState(pb.GetStateRequest(), timeout=peers.timeout),
        peers.retention.GetEvidence(pb.GetEvidenceRequest(), timeout=peers.timeout),
    )
    return translate.state(found, evidence)
