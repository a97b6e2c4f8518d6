"""What is not the API: information, the Web Key Directory, the page itself."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from services.gateway import wkd
from services.gateway.http import models
from services.gateway.http.caller import peers_of
from services.gateway.settings import Settings

VERSION = "0.1.0"
router = APIRouter(tags=["site"])
_YEAR = "public, max-age=31536000, immutable"


@router.get("/v1/info")
async def info(request: Request) -> models.Info:
    """Say what this installation is and which domains it serves."""
    peers = peers_of(request)
    settings: Settings = request.app.state.settings
    found = await peers.accounts.ListDomains(accounts_pb2.ListDomainsRequest(), timeout=peers.timeout)
    public = [domain.name for domain in found.domains if domain.profile == common_pb2.PROFILE_PUBLIC]
    members = [domain for domain in found.domains if domain.profile == common_pb2.PROFILE_SEALED]
    policy = models.PublicPolicy(keep_newest=0, retention_seconds=0)
    if public:
        # Any address of the domain has the domain's rules.
        sample = accounts_pb2.ResolveRequest(addresses=[f"info@{public[0]}"])
        route = (await peers.accounts.Resolve(sample, timeout=peers.timeout)).routes[0]
        policy = models.PublicPolicy(keep_newest=route.keep_newest, retention_seconds=route.retention_seconds)
    return models.Info(
        name=settings.name,
        version=VERSION,
        public_domains=public,
        member_domains=[domain.name for domain in members],
        sign_up_open=any(domain.open_for_sign_up for domain in members),
        max_message_bytes=settings.max_message_bytes,
        public=policy,
    )


async def _find(request: Request, domain: str, name: str) -> Response:
    if not wkd.is_hash(name):
        raise NotFoundError("certificate")
    peers = peers_of(request)
    wanted = crypto_pb2.FindCertificateRequest(domain=domain.lower(), wkd_hash=name)
    found = await peers.crypto.FindCertificate(wanted, timeout=peers.timeout)
    # The draft wants to be reachable from anywhere.
    return Response(
        found.certificate, media_type="application/octet-stream", headers={"Access-Control-Allow-Origin": "*"}
    )


@router.get("/.well-known/openpgpkey/{domain}/hu/{name}", response_class=Response)
async def wkd_advanced(domain: str, name: str, request: Request) -> Response:
    """Return a member's certificate, advanced method."""
    return await _find(request, domain, name)


@router.get("/.well-known/openpgpkey/hu/{name}", response_class=Response)
async def wkd_direct(name: str, request: Request) -> Response:
    """Return a member's certificate, direct method: the domain is the host's."""
    return await _find(request, request.url.hostname or "", name)


@router.get("/.well-known/openpgpkey/{domain}/policy", response_class=Response)
@router.get("/.well-known/openpgpkey/policy", response_class=Response)
async def wkd_policy() -> Response:
    """Return the policy file, which may be empty."""
    return Response(b"", media_type="text/plain")


def install_page(app: FastAPI, web: Path) -> None:
    """Serve the built page from `web`: its files by name, its first page for every other path of its own."""
    files = {f"/{path.relative_to(web).as_posix()}": path for path in web.rglob("*") if path.is_file()}
    first = web / "index.html"

    @app.get("/{path:path}", include_in_schema=False, response_class=FileResponse)
    async def page(path: str) -> FileResponse:
        if path.startswith(("v1/", ".well-known/")) or path == "v1":
            raise HTTPException(404)
        found = files.get(f"/{path}", first)
        if found is first and "." in path.rsplit("/", 1)[-1] and "@" not in path:
            raise HTTPException(404)
        if not found.exists():
            raise HTTPException(404)
        caching = _YEAR if path.startswith("assets/") else "no-cache"
        return FileResponse(found, headers={"Cache-Control": caching})
