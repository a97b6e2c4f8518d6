"""A sealpost of one test: the HTTP contract of docs/architecture.md in memory, behind httpx.MockTransport."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import pysequoia

from libs.runtime.ids import new_id

SITE = "https://sealpost.test"
COOKIE = "__Host-session"
FRAME = "application/vnd.sealpost.frame"
INFO = {"name": "sealpost", "member_domains": ["sealpost.test"]}
NOTICE = "This inbox is public."


def problem(status: int, reason: str, detail: str = "No.", **headers: str) -> httpx.Response:
    """Return problem details."""
    content = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "reason": reason}
    return httpx.Response(status, json=content, headers={"Content-Type": "application/problem+json", **headers})


@dataclass
class Sealpost:
    """Accounts, sessions and mail of one site; what was asked of it."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    mails: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    # Answered instead of anything else, by "METHOD path".
    instead: dict[str, httpx.Response] = field(default_factory=dict)
    page: int = 100
    # Certificates of people elsewhere, and what was submitted: sender, recipients, mail, by key.
    directory: dict[str, bytes] = field(default_factory=dict)
    submitted: dict[str, tuple[str, list[str], bytes]] = field(default_factory=dict)

    def transport(self) -> httpx.MockTransport:
        """Return the way to it."""
        return httpx.MockTransport(self._answer)

    def deliver(self, address: str, body: bytes, envelope: object = None) -> str:
        """Seal a mail to an account's certificate; return its id."""
        certificate = pysequoia.Cert.from_bytes(base64.b64decode(self.accounts[address]["certificate"]))

        def sealed(data: bytes) -> bytes:
            return pysequoia.encrypt(data, recipients=[certificate], armor=False)

        return self._store(
            address, sealed(body), base64.b64encode(sealed(json.dumps(envelope or {}).encode())).decode()
        )

    def post_public(self, address: str, body: bytes, envelope: object) -> str:
        """Put a mail into a public inbox; return its id."""
        return self._store(address, body, envelope)

    def _store(self, address: str, body: bytes, envelope: object) -> str:
        mail_id = new_id()
        self.bodies[mail_id] = body
        self.mails.setdefault(address, []).insert(
            0,
            {
                "id": mail_id,
                "received": "2026-11-22T17:00:00Z",
                "size": len(body),
                "body_size": len(body),
                "folder": "inbox",
                "flags": [],
                "expires": None,
                "scheme": "openpgp",
                "key_id": "0" * 40,
                "envelope": envelope,
            },
        )
        return mail_id

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        path = request.url.path
        if (instead := self.instead.get(f"{request.method} {path}")) is not None:
            return instead
        if request.method != "GET" and request.headers.get("origin") != SITE:
            return problem(403, "origin")
        if path.startswith("/v1/public/"):
            return self._public(request, path.split("/")[3:])
        framed = request.headers.get("content-type") == FRAME
        body = json.loads(request.content) if request.content and not framed else {}
        open_routes = {
            ("GET", "/v1/info"): lambda: httpx.Response(
                200, json={"name": "sealpost", "member_domains": ["sealpost.test"]}
            ),
            ("POST", "/v1/kdf"): lambda: self._kdf(body),
            ("POST", "/v1/accounts"): lambda: self._sign_up(body),
            ("POST", "/v1/session"): lambda: self._sign_in(body, "authentication_key"),
            ("POST", "/v1/recovery"): lambda: self._recovery(body),
            ("POST", "/v1/recovery/complete"): lambda: self._recovered(body),
        }
        if (route := open_routes.get((request.method, path))) is not None:
            return route()
        token = request.headers.get("cookie", "").removeprefix(f"{COOKIE}=")
        if token not in self.sessions:
            return problem(401, "session_missing")
        return self._signed_in(request, token, body)

    def _signed_in(self, request: httpx.Request, token: str, body: dict[str, Any]) -> httpx.Response:
        address, path = self.sessions[token], request.url.path
        mails = self.mails.setdefault(address, [])
        if path == "/v1/session" and request.method == "GET":
            return httpx.Response(200, json={"account": self._account(address)})
        if path == "/v1/session":
            del self.sessions[token]
            return httpx.Response(204, headers={"Set-Cookie": f'{COOKIE}=""; Max-Age=0; Path=/; Secure'})
        if path == "/v1/messages":
            folder = request.url.params.get("folder")
            return self._page([one for one in mails if folder in (None, one["folder"])], request, {})
        if path == "/v1/messages/delete":
            missing = [i for i in body["ids"] if i not in [mail["id"] for mail in mails]]
            mails[:] = [mail for mail in mails if mail["id"] not in body["ids"]]
            return httpx.Response(200, json={"not_found": missing})
        if path.startswith(("/v1/outbox/", "/v1/send", "/v1/recipients")):
            return self._out(request, address, body)
        mail_id = path.split("/")[3]
        if mail_id not in [mail["id"] for mail in mails]:
            return problem(404, "message")
        if not path.endswith("/body"):
            return httpx.Response(200, json=next(mail for mail in mails if mail["id"] == mail_id))
        return httpx.Response(200, content=self.bodies[mail_id])

    def _out(self, request: httpx.Request, address: str, body: dict[str, Any]) -> httpx.Response:
        path = request.url.path
        if path == "/v1/recipients":
            return httpx.Response(200, json={"recipients": [self._recipient(one) for one in body["addresses"]]})
        length = int.from_bytes(request.content[:4], "big")
        header, content = json.loads(request.content[4 : 4 + length]), request.content[4 + length :]
        if path == "/v1/send":
            key = request.headers["idempotency-key"]
            self.submitted[key] = (header["from"], header["recipients"], content)
            return httpx.Response(202, json={"id": "0" * 32, "message_id": "<x@sealpost.test>"})
        folder, owner = ("inbox", header["to"]) if path.endswith("sealed") else (header["folder"], address)
        if header["id"] not in self.bodies:
            mail_id = self._store(owner, content, header["envelope"])
            self.bodies[header["id"]] = self.bodies.pop(mail_id)
            self.mails[owner][0] |= {"id": header["id"], "folder": folder, "scheme": "openpgp-sender"}
        return httpx.Response(204)

    def _recipient(self, address: str) -> dict[str, Any]:
        if address in self.accounts:
            data = self.accounts[address]["certificate"]
            kind = "member"
        elif address in self.directory:
            data, kind = base64.b64encode(self.directory[address]).decode(), "wkd"
        else:
            kind = "public" if "@public." in address else "unknown" if address.endswith("@sealpost.test") else "open"
            return {"address": address, "kind": kind, "certificate": None, "fingerprint": None}
        fingerprint = pysequoia.Cert.from_bytes(base64.b64decode(data)).fingerprint
        return {"address": address, "kind": kind, "certificate": data, "fingerprint": fingerprint}

    def _page(self, mails: list[dict[str, Any]], request: httpx.Request, more: dict[str, Any]) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        size = min(int(request.url.params["limit"]), self.page)
        following = str(start + size) if start + size < len(mails) else None
        return httpx.Response(200, json={"messages": mails[start : start + size], "next_cursor": following, **more})

    def _public(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        if not parts[0].endswith("@public.sealpost.test"):
            return problem(404, "not_public", "There is no public inbox at this address.")
        if parts[-1] == "raw":
            return httpx.Response(200, content=self.bodies[parts[2]])
        return self._page(self.mails.get(parts[0], []), request, {"notice": NOTICE, "address": parts[0]})

    def _kdf(self, body: dict[str, Any]) -> httpx.Response:
        unknown = {
            "algorithm": "argon2id", "salt": base64.b64encode(b"s" * 16).decode(),
            "memory_kib": 65536, "iterations": 3, "parallelism": 1,
        }  # fmt: skip
        return httpx.Response(200, json={"kdf": self.accounts.get(body["address"], {"kdf": unknown})["kdf"]})

    def _sign_up(self, body: dict[str, Any]) -> httpx.Response:
        if body["address"] in self.accounts:
            return problem(409, "address_taken", "This address is taken.")
        self.accounts[body["address"]] = body
        return self._session(body["address"], 201)

    def _sign_in(self, body: dict[str, Any], proof: str) -> httpx.Response:
        known = self.accounts.get(body["address"])
        if known is None or known["authentication_key"] != body[proof]:
            return problem(401, "bad_proof", "Address and password do not match.")
        return self._session(body["address"], 200)

    def _recovery(self, body: dict[str, Any]) -> httpx.Response:
        known = self.accounts.get(body["address"], {}).get("recovery")
        if known is None or known["authentication_key"] != body["authentication_key"]:
            return problem(401, "bad_proof", "Address and code do not match.")
        account = self._account(body["address"])
        wrapped = known["wrapped_private_key"]
        return httpx.Response(200, json={"wrapped_private_key": wrapped, "fingerprint": account["fingerprint"]})

    def _recovered(self, body: dict[str, Any]) -> httpx.Response:
        known = self.accounts[body["address"]]
        if known["recovery"]["authentication_key"] != body["recovery_authentication_key"]:
            return problem(401, "bad_proof")
        known.update({name: body[name] for name in ("kdf", "authentication_key", "wrapped_private_key")})
        return self._session(body["address"], 200)

    def _session(self, address: str, status: int) -> httpx.Response:
        token = secrets.token_urlsafe(32)
        self.sessions[token] = address
        cookie = f"{COOKIE}={token}; HttpOnly; Path=/; SameSite=strict; Secure"
        return httpx.Response(status, json={"account": self._account(address)}, headers={"Set-Cookie": cookie})

    def _account(self, address: str) -> dict[str, Any]:
        known = self.accounts[address]
        certificate = pysequoia.Cert.from_bytes(base64.b64decode(known["certificate"]))
        return {
            "id": "a" * 32,
            "address": address,
            "profile": "sealed",
            "fingerprint": certificate.fingerprint,
            "wrapped_private_key": known["wrapped_private_key"],
            "kdf": known["kdf"],
            "has_recovery": "recovery" in known,
            "roles": [],
            "quota_bytes": 0,
            "quota_messages": 0,
        }
