"""A site and its people, for the tests of who may do what: things that are Ada's, and a call for each route."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from libs.runtime.clock import SystemClock
from libs.runtime.ids import new_message_id
from tests.support.fake_retention import CASE
from tests.support.gateway import FRAME, PUBLIC, Member, Site, b64, framed, kdf_form, new_member, sign_up_form
from tests.support.gateway_routes import Row

_INBOX = f"hello@{PUBLIC}"
_SEALED = b64(b"\xc1sealed")
_SHOP = "shop.test"
_HOOK = "https://hooks.shop.test/in"
_RELAY = ("/v1/send/{", "/v1/campaigns", "/v1/suppressions", "/v1/sender-domains", "/v1/webhooks")
# In which paths a name stands for which of the ids of `World.ids`.
_PLACES = {
    "/v1/public/": {"message_id": "public_id"},
    "/v1/objects/": {"name": "object"},
    "/v1/send/": {"id": "submission_id"},
    "/v1/suppressions/": {"id": "suppression_id"},
    "/v1/sender-domains/": {"domain": "sender_domain"},
    "/v1/webhooks/": {"id": "webhook_id"},
}


@dataclass
class World:
    """Ada has one of everything; Eve has an account and her own keys; Olga is an operator."""

    site: Site
    ada: Member
    eve: Member
    olga: Member
    keys: dict[str, dict[str, str]] = field(default_factory=dict)

    async def session(self, member: Member) -> dict[str, str]:
        """Return the header of a new session."""
        form = {"address": member.address, "authentication_key": b64(member.authentication_key)}
        answer = await self.site.client.post("/v1/session", json=form)
        assert answer.status_code == 200, answer.text
        return {"cookie": answer.headers["set-cookie"].partition(";")[0]}

    async def key(self, member: Member, scope: str) -> dict[str, str]:
        """Return the header of an API key with `scope`; made once for each."""
        name = member.address + scope
        if name not in self.keys:
            form = {"kind": "api_key", "label": scope, "scopes": [scope]}
            made = await self.site.client.post("/v1/credentials", json=form, headers=await self.session(member))
            self.keys[name] = {"authorization": f"Bearer {made.json()['secret']}"}
        return self.keys[name]

    async def ids(self, row: Row, *, everything: bool = False) -> dict[str, str]:
        """Return the ids of things that are Ada's, fresh: those that `row` names, or `everything`."""
        cookie, client = await self.session(self.ada), self.site.client
        ids = {
            "address": _INBOX,
            "public_id": "",
            "domain": "sealpost.test",
            "name": "y" * 32,
            "object": "contacts",
            "campaign": f"c{secrets.token_hex(8)}",
            "token": "x" * 150,
            "sender_domain": _SHOP,
            "metric": "mail_received",
            "cut": "by_outcome",
            "account_id": self.ada.account["id"],
            "case_id": CASE,
            "payment_id": "f" * 32,
            "number": "2026-000001",
            "version": "2",
        }
        # Only what the row names: there is room for a hundred folders, and each thing takes time.
        if everything or "credential" in row.path:
            for kept in (await client.get("/v1/credentials", headers=cookie)).json()["credentials"]:
                if kept["kind"] == "app_password":
                    await client.delete(f"/v1/credentials/{kept['id']}", headers=cookie)
            made = await client.post("/v1/credentials", json=self.form("credential", {}), headers=cookie)
            ids["credential_id"] = made.json()["credential"]["id"]
        if everything or "{folder_id}" in row.path:
            folder = await client.post("/v1/folders", json=self.form("folder", {}), headers=cookie)
            ids["folder_id"] = folder.json()["id"]
        if everything or "message" in row.path or row.form in ("update", "ids"):
            ids["message_id"] = await self.site.deliver(self.ada.address)
            ids["public_id"] = await self.site.deliver(_INBOX)
        if "{concern_id}" in row.path:
            raised = await client.post("/v1/concerns", json=self.form("concern", {}), headers=cookie)
            ids["concern_id"] = raised.json()["id"]
        if row.path == "/v1/forwarding/{forward_id}":
            # Only there: an account may ask few addresses a day.
            asked = await client.post("/v1/forwarding", json=self.form("forward", {}), headers=cookie)
            ids["forward_id"] = asked.json()["forward"]["id"]
        return ids | (await self._relay_ids(cookie, ids) if row.path.startswith(_RELAY) else {})

    async def _relay_ids(self, cookie: dict[str, str], ids: dict[str, str]) -> dict[str, str]:
        client = self.site.client
        for hook in (await client.get("/v1/webhooks", headers=cookie)).json()["webhooks"]:
            await client.delete(f"/v1/webhooks/{hook['id']}", headers=cookie)
        await client.delete(f"/v1/sender-domains/{_SHOP}", headers=cookie)
        made = {}
        for path, form in (
            ("send", "send"),
            ("suppressions", "suppression"),
            ("webhooks", "webhook"),
            ("sender-domains", "sender_domain"),
        ):
            answer = await client.post(f"/v1/{path}", json=self.form(form, ids), headers=cookie)
            assert answer.status_code in (201, 202), answer.text
            made[path] = answer.json()
        return {
            "submission_id": made["send"]["id"],
            "suppression_id": made["suppressions"]["id"],
            "webhook_id": made["webhooks"]["webhook"]["id"],
        }

    async def read(self, path: str, proof: dict[str, str]) -> dict[str, Any]:
        """Return the JSON of `path`."""
        answer = await self.site.client.get(path, headers=proof)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def form(self, name: str, ids: dict[str, str]) -> dict[str, Any] | None:
        """Return a body that would be taken from Ada."""
        proof, wrapped = b64(self.ada.authentication_key), b64(b"\x01" + bytes(60))
        if name == "sign_up":
            return sign_up_form(new_member(f"n{secrets.token_hex(6)}@sealpost.test"))
        new = {"kdf": kdf_form(), "authentication_key": proof, "wrapped_private_key": wrapped}
        forms: dict[str, Any] = {
            "": None,
            "address": {"address": self.ada.address},
            "sign_in": {"address": self.ada.address, "authentication_key": proof},
            "complete": {"address": self.ada.address, "recovery_authentication_key": b64(bytes(32))} | new,
            "password": {"current_authentication_key": proof} | new,
            "recovery": {"current_authentication_key": proof, "recovery": None},
            "forward": {"current_authentication_key": proof, "address": f"n{secrets.token_hex(6)}@there.test"},
            "credential": {"kind": "app_password", "label": "phone", "scopes": ["smtp:send"]},
            "folder": {"sealed_name": b64(b"sealed")},
            "update": {"ids": [ids.get("message_id", "")], "add_flags": ["seen"]},
            "ids": {"ids": [ids.get("message_id", "")]},
            "recipients": {"addresses": [self.ada.address]},
            "object": {"sealed": b64(b"sealed"), "version": 0},
            "sealed": {"to": self.eve.address, "id": new_message_id(SystemClock()), "envelope": _SEALED},
            "own": {"id": new_message_id(SystemClock()), "folder": "sent", "envelope": _SEALED},
            "send": self._mail(ids.get("campaign")),
            "measuring": {"opens": True, "clicks": True},
            "suppression": {"address": "ben@there.test"},
            "sender_domain": {"domain": _SHOP},
            "webhook": {"url": _HOOK},
            "since": {"since": "2026-01-01T00:00:00Z"},
            "consents": {"newsletter": True},
            "contact": {"contact": "ada@there.test"},
            "notice": {"version": 2, "accept": True},
            "erasure": {"current_authentication_key": proof},
            "concern": {"about": "correction", "text": "My name is wrong."},
            "entry": {"text": "Still."},
            "probes": {"clause": "E4"},
            "refusal": {"reason": "No order."},
            "case": {
                "order_reference": "Az. 1",
                "legal_basis": "court_order",
                "address": self.ada.address,
                "since": "2026-01-01T00:00:00Z",
                "until": "2026-02-01T00:00:00Z",
                "data_classes": ["member_mail"],
            },
        }
        found: dict[str, Any] | None = forms[name]
        return found

    def _mail(self, campaign: str | None) -> dict[str, Any]:
        # Later, so that it can be looked at and cancelled.
        later = (SystemClock().now() + timedelta(hours=1)).isoformat()
        mail = {"from": self.ada.address, "to": ["ben@there.test"], "subject": "hello", "text": "hello"}
        return mail | {"send_at": later, "campaign": campaign}

    async def call(self, row: Row, ids: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        """Make the call; of a stream only the head is waited for."""
        method, _, template = row.route.partition(" ")
        values = dict(ids)
        for prefix, names in _PLACES.items():
            if template.startswith(prefix):
                values |= {name: ids.get(known, "") for name, known in names.items()}
        form = self.form(row.form, ids)
        given: dict[str, Any] = {"json": form, "headers": headers}
        if template.startswith("/v1/outbox/"):
            given = {"content": framed(form or {}, b"\xc1sealed"), "headers": FRAME | headers}
        request = self.site.client.build_request(method, template.format(**values), **given)
        answer = await self.site.client.send(request, stream=True)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            await answer.aclose()
        else:
            await answer.aread()
        return answer
