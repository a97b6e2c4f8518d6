"""The policy, its versions and their differences, transparency, evidence and receipts: for people and for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from libs.policy.classify import classify
from libs.policy.document import classes_for, clauses_for, short
from libs.policy.parts import ProfileName
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError
from protos.retention.v1 import retention_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import binary, errors
from services.gateway.policy import view
from services.gateway.policy.render import answer, rendered
from services.gateway.policy.source import Policies, Version
from services.gateway.settings import Settings

router = APIRouter(tags=["policy"])
Number = Annotated[int, Query(ge=0, le=1_000_000)]
Profile = Annotated[ProfileName | None, Query()]
Day = Annotated[str, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")]
_PAGE = binary("text/html", "A page for people.") | errors(404)
_RECEIPT = binary("text/html", "A page for people.") | {404: binary("text/html", "A page for people.")[200]}
_LEDGER_SECONDS = 300.0
_DAY = 86400


@router.get("/privacy", responses=_PAGE, response_class=HTMLResponse)
async def privacy(request: Request, profile: Profile = None, version: Number = 0) -> HTMLResponse:
    """Show the policy in force, or a version of it, with the evidence beside each sentence."""
    policies, now = _policies(request), _now(request)
    shown = await policies.version(version)
    current = shown.state == "active"
    evidence = await policies.evidence() if current else None
    document = shown.document
    clauses = clauses_for(document, profile)
    page = rendered(
        "privacy",
        **_frame(request, "Privacy", "privacy"),
        document=document,
        profile=profile or "",
        current=current,
        link=_links(shown),
        short=short(document, profile),
        summary=view.summary(clauses, evidence) if evidence is not None and evidence.reachable else "",
        groups=view.groups(clauses, evidence, now),
        classes=view.classes(document, classes_for(document, profile), evidence, now),
        canaries=view.canaries(document, evidence) if evidence is not None else [],
        clock_held=evidence is not None and evidence.clock_held,
        unreachable=evidence is not None and not evidence.reachable,
        since=view.date_of(shown.activated_at) if current and shown.activated_at else "",
        day=evidence.day if evidence is not None else "",
    )
    return answer(page)


@router.get("/privacy/versions", responses=_PAGE, response_class=HTMLResponse)
async def policy_versions(request: Request) -> HTMLResponse:
    """List the versions that are or were in force, or are announced."""
    peers = peers_of(request)
    found = await peers.retention.ListVersions(pb.ListVersionsRequest(), timeout=peers.timeout)
    versions = [_listed(one) for one in found.versions if one.state in _PUBLISHED]
    return answer(rendered("versions", **_frame(request, "Versions", "versions"), versions=versions))


@router.get("/privacy/diff", responses=_PAGE, response_class=HTMLResponse)
async def policy_difference(
    request: Request, old: Annotated[int, Query(alias="from", ge=1)], new: Annotated[int, Query(alias="to", ge=1)]
) -> HTMLResponse:
    """Show what changes from one version to another, what takes something from people marked."""
    policies = _policies(request)
    before, after = await policies.version(old), await policies.version(new)
    changes = [
        view.change(
            one.kind,
            _subject(one.subject, after.document, before.document),
            (one.before, one.after),
            material=one.material,
            profiles=[after.document["profiles"].get(name, {}).get("title", name) for name in one.profiles],
        )
        for one in sorted(classify(before.document, after.document), key=lambda change: not change.material)
    ]
    material = sum(bool(one["material"]) for one in changes)
    frame = _frame(request, "What changes", "versions")
    return answer(rendered("diff", **frame, old=old, new=new, changes=changes, material=material))


@router.get("/transparency", responses=_PAGE, response_class=HTMLResponse)
async def transparency(request: Request) -> HTMLResponse:
    """Show how many orders to disclose there were, in bands."""
    peers = peers_of(request)
    found = await peers.retention.GetTransparency(pb.GetTransparencyRequest(), timeout=peers.timeout)
    frame = _frame(request, "Transparency", "transparency")
    return answer(rendered("transparency", **frame, half_years=list(found.half_years)))


@router.get("/erasure/{token}", responses=_RECEIPT, response_class=HTMLResponse)
async def erasure_receipt(token: str, request: Request) -> HTMLResponse:
    """Show what has become of an erasure to whoever has its token."""
    peers = peers_of(request)
    frame = _frame(request, "Receipt", "")
    try:
        found = await peers.retention.GetReceipt(pb.GetReceiptRequest(token=token), timeout=peers.timeout)
    except NotFoundError:
        told = {"heading": "There is no such receipt", "lead": "The link is wrong, or the receipt has been forgotten."}
        return answer(rendered("receipt", **frame, **told, lines=[], entry=0), 404, private=True)
    document = (await _policies(request).version()).document
    return answer(rendered("receipt", **frame, **_receipt(found, document)), private=True)


@router.get("/.well-known/sealpost-policy.json", responses=binary("application/json", "The document and evidence."))
async def policy_document(request: Request, version: Number = 0) -> JSONResponse:
    """Return the document of the version in force, or of another, and what probes found last."""
    policies = _policies(request)
    shown = await policies.version(version)
    content: dict[str, Any] = {"state": shown.state, "activated_at": shown.activated_at, "document": shown.document}
    if shown.state == "active":
        content["evidence"] = asdict(await policies.evidence())
    return JSONResponse(content, headers={"Cache-Control": "public, max-age=30"})


@router.get("/.well-known/sealpost-evidence.json", responses=binary("application/json", "Signed ends of days."))
async def evidence_roots(request: Request, limit: Annotated[int, Query(ge=1, le=400)] = 31) -> JSONResponse:
    """Return the signed ends of the ledger's days, the newest first, and the keys that they are signed with."""
    peers = peers_of(request)
    found = await peers.retention.ListRoots(pb.ListRootsRequest(limit=limit), timeout=peers.timeout)
    roots = [
        {
            "day": one.day,
            "entry": one.entry,
            "hash": one.hash.hex(),
            "signature": one.signature.hex(),
            "key_id": one.key_id.hex(),
        }
        for one in found.roots
    ]
    content = {"algorithm": "ed25519", "public_keys": [key.hex() for key in found.public_keys], "roots": roots}
    return JSONResponse(content, headers={"Cache-Control": "public, max-age=30"})


@router.get(
    "/evidence/ledger.jsonl",
    responses=binary("application/jsonl", "Entries, one a line."),
    response_class=StreamingResponse,
)
async def evidence_ledger(request: Request, first: Day, last: Day) -> StreamingResponse:
    """Return the entries of some days, with their signed ends, as `python -m services.retention.verify` reads them."""
    call = peers_of(request).retention.ReadLedger(pb.ReadLedgerRequest(first=first, last=last), timeout=_LEDGER_SECONDS)
    parts = aiter(call)
    # Before anything is answered: a refusal is an error and not half a file.
    head = await anext(parts, None)

    async def content() -> AsyncIterator[bytes]:
        if head is not None:
            yield head.data
        async for part in parts:
            yield part.data

    return StreamingResponse(content(), media_type="application/jsonl")


_PUBLISHED = frozenset({"active", "announced", "replaced"})


def _listed(found: pb.PolicyVersion) -> dict[str, object]:
    word, tone = view.state(found.state)
    when = {
        "active": found.activated_at and f"In force since {view.date_of(found.activated_at)}.",
        "announced": found.earliest and f"Takes effect on {view.date_of(found.earliest)} at the earliest.",
        "replaced": found.activated_at and f"Was in force from {view.date_of(found.activated_at)}.",
    }[found.state]
    return {
        "version": found.version,
        "word": word,
        "tone": tone,
        "when": when or "",
        "replaces": found.replaces,
        "changes": len(found.changes),
        "material": sum(one.material for one in found.changes),
    }


def _receipt(found: pb.Receipt, document: dict[str, Any]) -> dict[str, object]:
    if found.state == "done":
        heading = "Everything is erased"
        lead = f"The keys were destroyed on {view.date_of(found.keys_gone_at)}, and the rest was gone by "
        lead += f"{view.date_of(found.done_at)}."
    elif found.state == "running":
        heading = "The erasure is under way"
        lead = "The keys are destroyed: nothing can be read any more." if found.keys_gone_at else "It has just begun."
    else:
        heading = "The erasure waits for its day"
        lead = f"It begins on {view.date_of(found.due)} and can be undone until then, in the account's settings."
    lines = [
        {
            "service": line.service,
            "title": document["classes"].get(line.data_class, {}).get("title", line.data_class),
            "count": line.count,
            "keys": line.keys,
            "kept": line.kept,
            "until": view.date_of(line.kept_until_day * _DAY) if line.kept else "",
        }
        for line in found.lines
    ]
    return {"heading": heading, "lead": lead, "lines": lines, "entry": found.entry}


def _subject(name: str, *documents: dict[str, Any]) -> str:
    """Return what people call the subject of a change."""
    for document in documents:
        for clause in document["clauses"]:
            if clause["id"] == name:
                return f"{name} {clause['title']}"
        for part in ("classes", "metrics", "purposes", "recipients", "profiles", "mail"):
            if name in document[part]:
                return str(document[part][name].get("title", name))
        if name in document["rules"]:
            return str(document["rules"][name]["help"])
    return name


def _links(shown: Version) -> Any:
    version = "" if shown.state == "active" else f"version={shown.number}"

    def link(profile: str = "") -> str:
        query = "&".join(part for part in (f"profile={profile}" if profile else "", version) if part)
        return f"/privacy?{query}" if query else "/privacy"

    return link


def _frame(request: Request, title: str, here: str) -> dict[str, str]:
    settings: Settings = request.app.state.settings
    return {"title": title, "name": settings.name, "here": here}


def _policies(request: Request) -> Policies:
    policies: Policies = request.app.state.policies
    return policies


def _now(request: Request) -> int:
    clock: Clock = request.app.state.clock
    return unix_seconds(clock)
