"""Who may do what: every route with nobody, a session, keys without and with the scope, and somebody else's ids."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from libs.runtime.clock import SystemClock
from libs.runtime.ids import new_message_id
from services.gateway.http.openapi import api_routes
from tests.support.gateway import (
    FRAME,
    PUBLIC,
    Member,
    Site,
    b64,
    framed,
    kdf_form,
    new_member,
    running_site,
    sign_up_form,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

INBOX = f"/v1/public/hello@{PUBLIC}"
HASH = "y" * 32
SEALED = b64(b"\xc1sealed")


@dataclass(frozen=True)
class Row:
    """One route: who may call it, with what, and how it answers somebody who names what is another's."""

    route: str
    needs: str
    status: int = 200
    foreign: int | None = None
    form: str = ""


OPEN, SESSION, READ, WRITE = "", "session", "mail:read", "mail:write"
TABLE = [
    Row("POST /v1/recipients", SESSION, form="recipients"),
    Row("POST /v1/outbox/sealed", SESSION, 204, form="sealed"),
    Row("POST /v1/outbox/own", SESSION, 204, form="own"),
    Row("GET /v1/objects/{name}", SESSION),
    Row("PUT /v1/objects/{name}", SESSION, form="object"),
    Row("GET /v1/info", OPEN),
    Row("POST /v1/kdf", OPEN, form="address"),
    Row("POST /v1/accounts", OPEN, 201, form="sign_up"),
    Row("POST /v1/session", OPEN, form="sign_in"),
    Row("POST /v1/recovery", OPEN, 401, form="sign_in"),
    Row("POST /v1/recovery/complete", OPEN, 401, form="complete"),
    Row("GET /v1/session", SESSION),
    # Whoever has no session has ended it; the cookie is taken back in any case.
    Row("DELETE /v1/session", OPEN, 204),
    Row("GET /v1/sessions", SESSION),
    Row("DELETE /v1/sessions", SESSION, 204),
    Row("PUT /v1/account/password", SESSION, 204, form="password"),
    Row("PUT /v1/account/recovery", SESSION, 204, form="recovery"),
    Row("GET /v1/credentials", SESSION),
    Row("POST /v1/credentials", SESSION, 201, form="credential"),
    Row("DELETE /v1/credentials/{credential_id}", SESSION, 204, 404),
    Row("GET /v1/mailbox", READ),
    Row("POST /v1/folders", WRITE, 201, form="folder"),
    Row("PUT /v1/folders/{folder_id}", WRITE, 200, 404, form="folder"),
    Row("DELETE /v1/folders/{folder_id}", WRITE, 204, 404),
    Row("GET /v1/messages", READ),
    Row("GET /v1/messages/{message_id}", READ, 200, 404),
    Row("GET /v1/messages/{message_id}/body", READ, 200, 404),
    Row("GET /v1/messages/{message_id}/readers", READ, 200, 404),
    Row("POST /v1/messages/update", WRITE, 200, 200, form="update"),
    Row("POST /v1/messages/delete", WRITE, 200, 200, form="ids"),
    Row("GET /v1/events", READ),
    Row("GET /v1/public/{address}/messages", OPEN),
    Row("GET /v1/public/{address}/messages/{message_id}", OPEN, 200, 404),
    Row("GET /v1/public/{address}/messages/{message_id}/raw", OPEN, 200, 404),
    Row("GET /v1/public/{address}/messages/{message_id}/readers", OPEN, 200, 404),
    Row("DELETE /v1/public/{address}/messages/{message_id}", OPEN, 204, 404),
    Row("GET /v1/public/{address}/events", OPEN),
    Row("GET /.well-known/openpgpkey/{domain}/hu/{name}", OPEN, 404),
    Row("GET /.well-known/openpgpkey/hu/{name}", OPEN, 404),
    Row("GET /.well-known/openpgpkey/{domain}/policy", OPEN),
    Row("GET /.well-known/openpgpkey/policy", OPEN),
]


@dataclass
class World:
    """Ada has a mail, a folder, a credential; Eve has an account and her own keys."""

    site: Site
    ada: Member
    eve: Member
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

    async def ids(self) -> dict[str, str]:
        """Return the ids of things that are Ada's, fresh; under public paths, a mail of a public inbox."""
        cookie, client = await self.session(self.ada), self.site.client
        for kept in (await client.get("/v1/credentials", headers=cookie)).json()["credentials"]:
            if kept["kind"] == "app_password":
                await client.delete(f"/v1/credentials/{kept['id']}", headers=cookie)
        folder = await client.post("/v1/folders", json=self.form("folder", {}), headers=cookie)
        made = await client.post("/v1/credentials", json=self.form("credential", {}), headers=cookie)
        return {
            "folder_id": folder.json()["id"],
            "credential_id": made.json()["credential"]["id"],
            "message_id": await self.site.deliver(self.ada.address),
            "address": f"hello@{PUBLIC}",
            "public_id": await self.site.deliver(f"hello@{PUBLIC}"),
            "domain": "sealpost.test",
            "name": HASH,
        }

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
            "credential": {"kind": "app_password", "label": "phone", "scopes": ["smtp:send"]},
            "folder": {"sealed_name": b64(b"sealed")},
            "update": {"ids": [ids.get("message_id", "")], "add_flags": ["seen"]},
            "ids": {"ids": [ids.get("message_id", "")]},
            "recipients": {"addresses": [self.ada.address]},
            "object": {"sealed": b64(b"sealed"), "version": 0},
            "sealed": {"to": self.eve.address, "id": new_message_id(SystemClock()), "envelope": SEALED},
            "own": {"id": new_message_id(SystemClock()), "folder": "sent", "envelope": SEALED},
        }
        found: dict[str, Any] | None = forms[name]
        return found

    async def call(self, row: Row, ids: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        """Make the call; of a stream only the head is waited for."""
        method, _, template = row.route.partition(" ")
        values = ids | ({"message_id": ids["public_id"]} if template.startswith("/v1/public/") else {})
        values |= {"name": "contacts"} if template.startswith("/v1/objects/") else {}
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One site for the whole table."""
    plenty: dict[str, Any] = {"requests_per_minute": 100_000, "proofs_per_minute": 100_000, "sign_ups_per_hour": 1000}
    home = tmp_path_factory.mktemp("roles")
    async with running_site(home, proofs_per_address=100_000, streams_per_client=1000, **plenty) as site:
        yield World(site, await site.sign_up("ada"), await site.sign_up("eve"))


async def test_the_table_is_complete(world: World) -> None:
    routes = api_routes(world.site.app.app.routes)
    served = [f"{method} {route.path_format}" for route in routes for method in route.methods or ()]
    assert sorted(row.route for row in TABLE) == sorted(served)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.route)
async def test_who_may(world: World, row: Row) -> None:
    ids = await world.ids()
    nobody = await world.call(row, ids, {})
    if row.needs == OPEN:
        assert nobody.status_code == row.status, nobody.text
    else:
        assert (nobody.status_code, nobody.json()["reason"]) == (401, "session_missing")
        await _refused(world, row, ids)
        ids = await world.ids()
        session = await world.call(row, ids, await world.session(world.ada))
        _granted(row, session)
    if row.needs in (READ, WRITE):
        ids = await world.ids()
        _granted(row, await world.call(row, ids, await world.key(world.ada, row.needs)))


def _granted(row: Row, answer: httpx.Response) -> None:
    assert answer.status_code == row.status, answer.text
    if row.form in ("update", "ids"):
        # Not merely answered: done.
        assert answer.json() == {"not_found": []}


async def _refused(world: World, row: Row, ids: dict[str, str]) -> None:
    """Try what must not open the route."""
    for proof in (
        {"cookie": "__Host-session=" + "A" * 43},
        {"cookie": "__Host-session="},
        {"cookie": "__Host-session=" + "A" * 5000},
        {"cookie": "session=" + world.ada.token},
        {"authorization": "Bearer sp_00000000_" + "0" * 52},
        {"authorization": "Bearer " + world.ada.token},
        {"authorization": "Bearer"},
        {"authorization": "Basic YWRhOmFkYQ=="},
        {"authorization": "Bearer x"} | world.ada.cookie if row.needs in (READ, WRITE) else {},
    ):
        answer = await world.call(row, ids, proof)
        assert (answer.status_code, answer.json()["reason"]) == (401, "session_missing"), proof
    for scope in (READ, WRITE):
        if scope != row.needs:
            answer = await world.call(row, ids, await world.key(world.ada, scope))
            expected = (401, "session_missing") if row.needs == SESSION else (403, "scope_missing")
            assert (answer.status_code, answer.json()["reason"]) == expected


@pytest.mark.parametrize("row", [row for row in TABLE if row.foreign is not None], ids=lambda row: row.route)
async def test_what_is_somebody_elses_does_not_exist(world: World, row: Row) -> None:
    ids = await world.ids()
    if row.route.split()[1].startswith("/v1/public/"):
        # Named under an inbox that it does not lie in, a member's mail included.
        for message_id in (ids["public_id"], ids["message_id"]):
            answer = await world.call(row, ids | {"public_id": message_id, "address": f"other@{PUBLIC}"}, {})
            assert (answer.status_code, answer.json()["reason"]) == (404, "message")
        answer = await world.call(row, ids | {"address": world.ada.address, "public_id": ids["message_id"]}, {})
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_public")
        return
    proofs = [await world.session(world.eve)]
    if row.needs in (READ, WRITE):
        proofs.append(await world.key(world.eve, row.needs))
    for proof in proofs:
        answer = await world.call(row, ids, proof)
        assert answer.status_code == row.foreign, answer.text
        if row.foreign == 200:
            assert answer.json() == {"not_found": [ids["message_id"]]}
    # And it is there still.
    cookie = await world.session(world.ada)
    assert (await world.site.client.get(f"/v1/messages/{ids['message_id']}", headers=cookie)).json()["flags"] == []
    folders = (await world.site.client.get("/v1/mailbox", headers=cookie)).json()["folders"]
    assert ids["folder_id"] in {folder["id"] for folder in folders}
    kept = (await world.site.client.get("/v1/credentials", headers=cookie)).json()["credentials"]
    assert ids["credential_id"] in {credential["id"] for credential in kept}
