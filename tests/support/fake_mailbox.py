"""The routes of the fake gateway (fake_gateway.py) that show mail: mailboxes and public inboxes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse, StreamingResponse

from tests.support.fake_routes import problem, who

if TYPE_CHECKING:
    from tests.support.fake_gateway import FakeGateway, Stored

_SYSTEM = ("inbox", "sent", "drafts", "archive", "junk", "trash")
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


def add_mail_routes(app: FastAPI, fake: FakeGateway) -> None:
    """Add the mailbox of the signed-in account."""
    _add_folder_routes(app, fake)

    def box(request: Request) -> list[Stored]:
        return fake.boxes.setdefault(who(fake, request) or "", [])

    @app.get("/v1/messages")
    async def messages(request: Request, folder: str = "", cursor: str = "", limit: int = 50) -> Any:
        if who(fake, request) is None:
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
        fake.boxes[who(fake, request) or ""] = [m for m in box(request) if m.id not in ids]
        return {"not_found": []}

    @app.get("/v1/events")
    async def events(request: Request) -> Response:
        return _events(fake, who(fake, request) or "")


def _add_folder_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.get("/v1/mailbox")
    async def mailbox(request: Request) -> Any:
        stored = fake.boxes.get(who(fake, request) or "", [])
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
        for stored in fake.boxes.get(who(fake, request) or "", []):
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


def _view(stored: Stored, *, sealed: bool) -> dict[str, Any]:
    view = {
        "id": stored.id,
        "received": stored.received.isoformat().replace("+00:00", "Z"),
        "size": stored.size,
        "body_size": len(stored.body),
        "folder": stored.folder,
        "flags": sorted(stored.flags),
        "expires": stored.expires.isoformat() if stored.expires else None,
        "scheme": stored.scheme or ("openpgp" if sealed else "aes-256-gcm"),
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
