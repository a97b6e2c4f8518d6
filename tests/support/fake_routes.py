"""The routes of the fake gateway (fake_gateway.py) about accounts, in the order of docs/architecture.md."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import pysequoia
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from tests.support.fake_gateway import FakeGateway

_COOKIE = "__Host-session"
_NOW = "2026-11-22T17:00:00Z"


def problem(status: int, reason: str, detail: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an RFC 9457 problem."""
    body = {"type": "about:blank", "title": reason, "status": status, "detail": detail, "reason": reason}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def add_account_routes(app: FastAPI, fake: FakeGateway) -> None:
    """Add sign-up, sign-in, recovery, settings."""
    _add_session_routes(app, fake)
    _add_settings_routes(app, fake)

    @app.get("/v1/info")
    async def info() -> Any:
        return {
            "name": "sealpost",
            "version": "0.1.0",
            "public_domains": [fake.public_domain],
            "member_domains": [fake.member_domain],
            "relay_domains": ["relay.sealpost.test"],
            "sign_up_open": True,
            "submission": {"host": "mx.sealpost.test", "starttls_port": 587, "tls_port": 465},
            "max_message_bytes": 50_000_000,
            "public": {"keep_newest": 6, "retention_seconds": 345_600},
        }

    @app.post("/v1/kdf")
    async def kdf(request: Request) -> Any:
        account = fake.accounts.get((await request.json())["address"])
        return {"kdf": account["kdf"] if account else _plausible_kdf((await request.json())["address"])}

    @app.post("/v1/accounts")
    async def sign_up(request: Request) -> Response:
        body = await request.json()
        if body["address"] in fake.accounts:
            return problem(409, "address_taken", "This address is taken.")
        fingerprint = _fingerprint(body["certificate"])
        fake.accounts[body["address"]] = body | {"id": secrets.token_hex(16), "fingerprint": fingerprint}
        return _signed_in(fake, body["address"], 201)

    @app.post("/v1/recovery")
    async def recovery(request: Request) -> Any:
        body = await request.json()
        account = fake.accounts.get(body["address"], {})
        if (account.get("recovery") or {}).get("authentication_key") != body["authentication_key"]:
            return problem(401, "credentials_invalid", "Address and recovery code do not belong together.")
        wrapped = account["recovery"]["wrapped_private_key"]
        return {"wrapped_private_key": wrapped, "fingerprint": account["fingerprint"]}

    @app.post("/v1/recovery/complete")
    async def complete(request: Request) -> Response:
        body = await request.json()
        account = fake.accounts[body["address"]]
        account.update({key: body[key] for key in ("kdf", "authentication_key", "wrapped_private_key")})
        return _signed_in(fake, body["address"])


def _add_session_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.post("/v1/session")
    async def sign_in(request: Request) -> Response:
        body = await request.json()
        account = fake.accounts.get(body["address"])
        if account is None or account["authentication_key"] != body["authentication_key"]:
            return problem(401, "credentials_invalid", "Address and password do not belong together.")
        return _signed_in(fake, body["address"])

    @app.get("/v1/session")
    async def current(request: Request) -> Any:
        address = who(fake, request)
        return {"account": _account(fake, address)} if address else problem(401, "no_session")

    @app.delete("/v1/session")
    async def sign_out(request: Request) -> Response:
        fake.sessions.pop(request.cookies.get(_COOKIE, ""), None)
        response = Response(status_code=204)
        response.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response

    @app.get("/v1/sessions")
    async def sessions(request: Request) -> Any:
        mine = [token for token, address in fake.sessions.items() if address == who(fake, request)]
        token = request.cookies.get(_COOKIE)
        return {"sessions": [{"id": t[:8], "created": _NOW, "last_used": _NOW, "current": t == token} for t in mine]}

    @app.delete("/v1/sessions")
    async def everywhere(request: Request) -> Response:
        address = who(fake, request)
        fake.sessions = {token: a for token, a in fake.sessions.items() if a != address}
        return Response(status_code=204)


def _add_settings_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.put("/v1/account/password")
    async def password(request: Request) -> Response:
        body, account = await request.json(), fake.accounts[who(fake, request) or ""]
        if body["current_authentication_key"] != account["authentication_key"]:
            return problem(403, "credentials_invalid", "The current password is another one.")
        account.update({key: body[key] for key in ("kdf", "authentication_key", "wrapped_private_key")})
        return Response(status_code=204)

    @app.put("/v1/account/recovery")
    async def recovery(request: Request) -> Response:
        body, account = await request.json(), fake.accounts[who(fake, request) or ""]
        if body["current_authentication_key"] != account["authentication_key"]:
            return problem(403, "credentials_invalid", "The current password is another one.")
        account["recovery"] = body["recovery"]
        return Response(status_code=204)

    @app.get("/v1/credentials")
    async def credentials() -> Any:
        return {"credentials": list(fake.credentials.values())}

    @app.post("/v1/credentials")
    async def add(request: Request) -> Response:
        body, secret = await request.json(), "sp_" + secrets.token_urlsafe(32)
        made = body | {"id": secrets.token_hex(16), "prefix": secret[:8], "created": _NOW}
        fake.credentials[made["id"]] = made
        return JSONResponse({"credential": made, "secret": secret}, 201)

    @app.delete("/v1/credentials/{credential_id}")
    async def drop(credential_id: str) -> Response:
        fake.credentials.pop(credential_id, None)
        return Response(status_code=204)


def who(fake: FakeGateway, request: Request) -> str | None:
    """Return the address that the cookie of `request` stands for."""
    return fake.sessions.get(request.cookies.get(_COOKIE, ""))


def _signed_in(fake: FakeGateway, address: str, status: int = 200) -> Response:
    token = secrets.token_urlsafe(32)
    fake.sessions[token] = address
    response = JSONResponse({"account": _account(fake, address)}, status)
    response.set_cookie(_COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
    return response


def _account(fake: FakeGateway, address: str) -> dict[str, Any]:
    account = fake.accounts[address]
    kept = {key: account[key] for key in ("id", "address", "fingerprint", "wrapped_private_key", "kdf")}
    limits = {"quota_bytes": 1_000_000_000, "quota_messages": 100_000}
    return kept | {"profile": "sealed", "has_recovery": bool(account.get("recovery")), "roles": []} | limits


def _plausible_kdf(address: str) -> dict[str, Any]:
    salt = base64.b64encode(hashlib.sha256(address.encode()).digest()[:16]).decode()
    return {"algorithm": "argon2id", "salt": salt, "memory_kib": 65536, "iterations": 3, "parallelism": 1}


def _fingerprint(certificate: str) -> str:
    return str(pysequoia.Cert.from_bytes(base64.b64decode(certificate)).fingerprint)
