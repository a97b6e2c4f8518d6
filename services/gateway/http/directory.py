"""The Web Key Directory (draft-koch-openpgp-webkey-service), by both of its methods.

The advanced method names the domain in the path, the direct one is asked at the domain itself. Whatever asks may be a
page of anybody, so these answers alone are open to other origins.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.runtime.errors import NotFoundError
from protos.crypto.v1 import crypto_pb2
from services.gateway import wkd
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import binary, errors

router = APIRouter(prefix="/.well-known/openpgpkey", tags=["Web Key Directory"])
_OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # A new key should be found soon, and a withdrawn one not for long.
    "Cache-Control": "public, max-age=300",
}
_BINARY = "application/octet-stream"
_FOUND = binary(_BINARY, "The certificate, binary.")
_POLICY = binary("text/plain", "The policy, which is empty.")


@router.get("/{domain}/hu/{name}", response_class=Response, responses=_FOUND)
async def find_advanced(domain: str, name: str, request: Request) -> Response:
    """Return a member's certificate, advanced method."""
    return await _find(request, domain, name)


@router.get("/hu/{name}", response_class=Response, responses=_FOUND)
async def find_direct(name: str, request: Request) -> Response:
    """Return a member's certificate, direct method: the domain is the host's."""
    return await _find(request, wkd.host_of(request.headers.get("host", "")), name)


@router.get("/{domain}/policy", response_class=Response, responses=_POLICY | errors(404))
async def policy_advanced(domain: str) -> Response:
    """Return the policy, advanced method."""
    return Response(b"", media_type="text/plain", headers=_OPEN)


@router.get("/policy", response_class=Response, responses=_POLICY)
async def policy_direct() -> Response:
    """Return the policy, direct method."""
    return Response(b"", media_type="text/plain", headers=_OPEN)


async def _find(request: Request, domain: str, name: str) -> Response:
    canonical = wkd.canonical_domain(domain)
    if canonical is None or not wkd.is_hash(name):
        raise NotFoundError("certificate_unknown")
    peers = peers_of(request)
    wanted = crypto_pb2.FindCertificateRequest(domain=canonical, wkd_hash=name)
    found = await peers.crypto.FindCertificate(wanted, timeout=peers.timeout)
    return Response(found.certificate, media_type=_BINARY, headers=_OPEN)
