"""The routes of the fake gateway (fake_gateway.py), in the order of the table in docs/architecture.md."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import pysequoia
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse, StreamingResponse

if TYPE_CHECKING:
    from tests.support.fake_gateway import FakeGateway, Stored

_COOKIE = "__Host-session"
_NOW = "2026-11-22T17:00:00Z"
_SYSTEM = ("inbox", "archive", "junk", "trash")
_NOTICE = "Everybody who knows this address can read what arrives here."
_READERS = {
    "stored": [
        {"field": "envelope", "form": "sealed", "why": "shown in your list"},
        {"field": "body", "form": "sealed", "why": "the mail itself"},
        {"field": "received", "form": "plain", "why": "to sort and to expire; to the minute"},
        {"field": "size", "form": "plain", "why": "to count against your quota"},
    ],
    "key_holders": [{"who": "you", "how": "your password opens your private key in your browser"}],
    "services": [
        {"name": "ingest", "saw": "plaintext", "when": "while it was received"},
        {"name": "crypto", "saw": "plaintext", "when": "while it was sealed"},
        {"name": "storage", "saw": "ciphertext", "when": "since then"},
        {"name": "accounts", "saw": "routing", "when": "while it was received"},
    ],
    "expires": None,
    "deletion": "Deleted at once when you delete it for good.",
}


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
            "sign_up_open": True,
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
        address = _who(fake, request)
        return {"account": _account(fake, address)} if address else problem(401, "no_session")

    @app.delete("/v1/session")
    async def sign_out(request: Request) -> Response:
        fake.sessions.pop(request.cookies.get(_COOKIE, ""), None)
        response = Response(status_code=204)
        response.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response

    @app.get("/v1/sessions")
    async def sessions(request: Request) -> Any:
        mine = [token for token, address in fake.sessions.items() if address == _who(fake, request)]
        token = request.cookies.get(_COOKIE)
        return {"sessions": [{"id": t[:8], "created": _NOW, "last_used": _NOW, "current": t == token} for t in mine]}

    @app.delete("/v1/sessions")
    async def everywhere(request: Request) -> Response:
        address = _who(fake, request)
        fake.sessions = {token: a for token, a in fake.sessions.items() if a != address}
        return Response(status_code=204)


def _add_settings_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.put("/v1/account/password")
    async def password(request: Request) -> Response:
        body, account = await request.json(), fake.accounts[_who(fake, request) or ""]
        if body["current_authentication_key"] != account["authentication_key"]:
            return problem(403, "credentials_invalid", "The current password is another one.")
        account.update({key: body[key] for key in ("kdf", "authentication_key", "wrapped_private_key")})
        return Response(status_code=204)

    @app.put("/v1/account/recovery")
    async def recovery(request: Request) -> Response:
        body, account = await request.json(), fake.accounts[_who(fake, request) or ""]
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


def add_mail_routes(app: FastAPI, fake: FakeGateway) -> None:
    """Add the mailbox of the signed-in account."""
    _add_folder_routes(app, fake)

    def box(request: Request) -> list[Stored]:
        return fake.boxes.setdefault(_who(fake, request) or "", [])

    @app.get("/v1/messages")
    async def messages(request: Request, folder: str = "", cursor: str = "", limit: int = 50) -> Any:
        if _who(fake, request) is None:
            return problem(401, "no_session")
        return _page([m for m in box(request) if folder in ("", m.folder)], cursor, limit, sealed=True)

    @app.get("/v1/messages/{message_id}")
    async def message(request: Request, message_id: str) -> Any:
        found = _find(box(request), message_id)
        return _view(found, sealed=True) if found else problem(404, "not_found", "This message does not exist.")

    @app.get("/v1/messages/{message_id}/body")
    async def body(request: Request, message_id: str) -> Response:
        found = _find(box(request), message_id)
        if found is None:
            return problem(404, "not_found", "This message does not exist.")
        return Response(found.body, media_type="application/octet-stream")

    @app.get("/v1/messages/{message_id}/readers")
    async def readers() -> Any:
        return _READERS

    @app.post("/v1/messages/update")
    async def update(request: Request) -> Any:
        change = await request.json()
        for found in (m for m in box(request) if m.id in change["ids"]):
            found.flags = (found.flags | set(change.get("add_flags", []))) - set(change.get("remove_flags", []))
            found.folder = change.get("move_to") or found.folder
        return {"not_found": []}

    @app.post("/v1/messages/delete")
    async def delete(request: Request) -> Any:
        ids = (await request.json())["ids"]
        fake.boxes[_who(fake, request) or ""] = [m for m in box(request) if m.id not in ids]
        return {"not_found": []}

    @app.get("/v1/events")
    async def events(request: Request) -> Response:
        return _events(fake, _who(fake, request) or "")


def _add_folder_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.get("/v1/mailbox")
    async def mailbox(request: Request) -> Any:
        stored = fake.boxes.get(_who(fake, request) or "", [])
        folders = [(name, "") for name in _SYSTEM] + list(fake.folders.items())
        return {
            "used_bytes": sum(m.size for m in stored),
            "used_messages": len(stored),
            "quota_bytes": 1_000_000_000,
            "quota_messages": 100_000,
            "folders": [_folder(stored, folder, sealed) for folder, sealed in folders],
        }

    @app.post("/v1/folders")
    async def add(request: Request) -> Response:
        folder = secrets.token_hex(16)
        fake.folders[folder] = (await request.json())["sealed_name"]
        return JSONResponse(_folder([], folder, fake.folders[folder]), 201)

    @app.put("/v1/folders/{folder}")
    async def rename(request: Request, folder: str) -> Response:
        fake.folders[folder] = (await request.json())["sealed_name"]
        return Response(status_code=204)

    @app.delete("/v1/folders/{folder}")
    async def drop(request: Request, folder: str) -> Response:
        fake.folders.pop(folder, None)
        for stored in fake.boxes.get(_who(fake, request) or "", []):
            stored.folder = "inbox" if stored.folder == folder else stored.folder
        return Response(status_code=204)


def add_public_routes(app: FastAPI, fake: FakeGateway) -> None:
    """Add the public inboxes."""

    @app.get("/v1/public/{address}/messages")
    async def messages(address: str, cursor: str = "", limit: int = 50) -> Any:
        if not address.endswith("@" + fake.public_domain):
            return problem(404, "not_found", "There is no public inbox of this name.")
        page = _page(fake.boxes.get(address, []), cursor, limit, sealed=False)
        return page | {"notice": _NOTICE, "address": address}

    @app.get("/v1/public/{address}/messages/{message_id}")
    async def message(address: str, message_id: str) -> Any:
        found = _find(fake.boxes.get(address, []), message_id)
        return _view(found, sealed=False) if found else problem(404, "not_found", "This message does not exist.")

    @app.get("/v1/public/{address}/messages/{message_id}/raw")
    async def raw(address: str, message_id: str) -> Response:
        found = _find(fake.boxes.get(address, []), message_id)
        if found is None:
            return problem(404, "not_found", "This message does not exist.")
        return Response(found.body, media_type="application/octet-stream")

    @app.get("/v1/public/{address}/messages/{message_id}/readers")
    async def readers(address: str) -> Any:
        return _READERS | {"key_holders": [{"who": "everybody", "how": "by opening this page"}]}

    @app.delete("/v1/public/{address}/messages/{message_id}")
    async def delete(address: str, message_id: str) -> Response:
        fake.boxes[address] = [m for m in fake.boxes.get(address, []) if m.id != message_id]
        return Response(status_code=204)

    @app.get("/v1/public/{address}/events")
    async def events(address: str) -> Response:
        return _events(fake, address)


def _who(fake: FakeGateway, request: Request) -> str | None:
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


def _view(stored: Stored, *, sealed: bool) -> dict[str, Any]:
    view = {
        "id": stored.id,
        "received": stored.received.isoformat().replace("+00:00", "Z"),
        "size": stored.size,
        "body_size": len(stored.body),
        "folder": stored.folder,
        "flags": sorted(stored.flags),
        "expires": stored.expires.isoformat() if stored.expires else None,
        "scheme": "openpgp" if sealed else "aes-256-gcm",
        "envelope": stored.envelope,
    }
    return view | ({"key_id": "0" * 40} if sealed else {})


def _page(stored: list[Stored], cursor: str, limit: int, *, sealed: bool) -> dict[str, Any]:
    start = int(cursor or 0)
    following = str(start + limit) if start + limit < len(stored) else None
    return {"messages": [_view(m, sealed=sealed) for m in stored[start : start + limit]], "next_cursor": following}


def _folder(stored: list[Stored], folder: str, sealed_name: str) -> dict[str, Any]:
    inside = [m for m in stored if m.folder == folder]
    unseen = sum("seen" not in m.flags for m in inside)
    return {"id": folder, "sealed_name": sealed_name, "messages": len(inside), "unseen": unseen}


def _find(stored: list[Stored], message_id: str) -> Stored | None:
    return next((m for m in stored if m.id == message_id), None)


def _events(fake: FakeGateway, address: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(fake.listen(address), media_type="text/event-stream", headers=headers)


def _plausible_kdf(address: str) -> dict[str, Any]:
    salt = base64.b64encode(hashlib.sha256(address.encode()).digest()[:16]).decode()
    return {"algorithm": "argon2id", "salt": salt, "memory_kib": 65536, "iterations": 3, "parallelism": 1}


def _fingerprint(certificate: str) -> str:
    return str(pysequoia.Cert.from_bytes(base64.b64decode(certificate)).fingerprint)
