"""Who may do what: every route with nobody, a session, keys without and with the scope, and somebody else's ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.accounts.domain.model import Role
from services.gateway.http.openapi import api_routes
from tests.support.gateway import PUBLIC, running_site
from tests.support.gateway_routes import OPEN, OPERATOR, SCOPES, SESSION, STAFF, TABLE, Row
from tests.support.gateway_world import World

# What nobody is told at a route of sessions, and at one of roles.
_NOBODY = ((401, "session_missing"), (404, "no_such_path"))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One site for the whole table."""
    plenty: dict[str, Any] = {"requests_per_minute": 100_000, "proofs_per_minute": 100_000, "sign_ups_per_hour": 1000}
    home = tmp_path_factory.mktemp("roles")
    sending = {"member_per_day": 100_000, "member_per_minute": 100_000}
    plenty |= {"proofs_per_address": 100_000, "streams_per_client": 1000}
    async with running_site(home, delivery=sending, **plenty) as site:
        ada, eve, olga = [await site.sign_up(name) for name in ("ada", "eve", "olga")]
        await site.make_operator(olga)
        for role in (Role.STATISTICS, Role.SUPPORT, Role.DISCLOSURE):
            await site.staff.grant(olga.address, role)
        yield World(site, ada, eve, olga)


async def test_the_table_is_complete(world: World) -> None:
    routes = api_routes(world.site.app.app.routes)
    served = [f"{method} {route.path_format}" for route in routes for method in route.methods or ()]
    assert sorted(row.route for row in TABLE) == sorted(served)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.route)
async def test_who_may(world: World, row: Row) -> None:
    ids = await world.ids(row)
    nobody = await world.call(row, ids, {})
    if row.needs == OPEN:
        assert nobody.status_code == row.status, nobody.text
        return
    assert (nobody.status_code, nobody.json()["reason"]) == _NOBODY[row.needs == STAFF]
    await _refused(world, row, ids)
    ids, member = await world.ids(row), world.olga if row.needs in (OPERATOR, STAFF) else world.ada
    _granted(row, await world.call(row, ids, await world.session(member)))
    if row.needs in SCOPES:
        ids = await world.ids(row)
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
        {"authorization": "Bearer x"} | world.ada.cookie if row.needs in SCOPES else {},
    ):
        answer = await world.call(row, ids, proof)
        assert (answer.status_code, answer.json()["reason"]) == _NOBODY[row.needs == STAFF], proof
    for scope in SCOPES:
        if scope != row.needs:
            answer = await world.call(row, ids, await world.key(world.ada, scope))
            expected = (403, "scope_missing") if row.needs in SCOPES else _NOBODY[row.needs == STAFF]
            assert (answer.status_code, answer.json()["reason"]) == expected
    if row.needs == STAFF:
        answer = await world.call(row, ids, await world.session(world.ada))
        assert (answer.status_code, answer.json()["reason"]) == _NOBODY[True]
    if row.needs == OPERATOR:
        answer = await world.call(row, ids, await world.session(world.ada))
        assert (answer.status_code, answer.json()["reason"]) == (403, "role_missing")
        answer = await world.call(row, ids, await world.key(world.olga, SCOPES[-1]))
        assert (answer.status_code, answer.json()["reason"]) == (401, "session_missing")


_FOREIGN = [row for row in TABLE if row.foreign is not None]


@pytest.mark.parametrize("row", [row for row in _FOREIGN if row.needs == OPEN], ids=lambda row: row.route)
async def test_a_mail_is_in_its_own_inbox_only(world: World, row: Row) -> None:
    ids = await world.ids(row)
    # Named under an inbox that it does not lie in, a member's mail included.
    for message_id in (ids["public_id"], ids["message_id"]):
        answer = await world.call(row, ids | {"public_id": message_id, "address": f"other@{PUBLIC}"}, {})
        assert (answer.status_code, answer.json()["reason"]) == (404, "message")
    answer = await world.call(row, ids | {"address": world.ada.address, "public_id": ids["message_id"]}, {})
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_public")


@pytest.mark.parametrize("row", [row for row in _FOREIGN if row.needs != OPEN], ids=lambda row: row.route)
async def test_what_is_somebody_elses_does_not_exist(world: World, row: Row) -> None:
    ids = await world.ids(row, everything=True)
    proofs = [await world.session(world.eve)]
    if row.needs in SCOPES:
        proofs.append(await world.key(world.eve, row.needs))
    for proof in proofs:
        answer = await world.call(row, ids, proof)
        assert answer.status_code == row.foreign, answer.text
        if row.form in ("update", "ids"):
            assert answer.json() == {"not_found": [ids["message_id"]]}
    # And it is there still.
    cookie = await world.session(world.ada)
    assert (await world.read(f"/v1/messages/{ids['message_id']}", cookie))["flags"] == []
    assert ids["folder_id"] in {folder["id"] for folder in (await world.read("/v1/mailbox", cookie))["folders"]}
    kept = (await world.read("/v1/credentials", cookie))["credentials"]
    assert ids["credential_id"] in {credential["id"] for credential in kept}
    if "submission_id" in ids:
        await _sending_is_untouched(world, ids, cookie)


async def _sending_is_untouched(world: World, ids: dict[str, str], cookie: dict[str, str]) -> None:
    mail = await world.read(f"/v1/send/{ids['submission_id']}", cookie)
    assert [recipient["state"] for recipient in mail["recipients"]] == ["queued"]
    suppressions = (await world.read("/v1/suppressions", cookie))["suppressions"]
    assert ids["suppression_id"] in {entry["id"] for entry in suppressions}
    domains = (await world.read("/v1/sender-domains", cookie))["domains"]
    # Nobody has looked at it either.
    assert (ids["sender_domain"], None) in {(domain["domain"], domain["checked"]) for domain in domains}
    hooks = (await world.read("/v1/webhooks", cookie))["webhooks"]
    assert [hook["id"] for hook in hooks] == [ids["webhook_id"]]


@pytest.mark.parametrize("path", ["suppressions", "sender-domains", "webhooks", "send/events", "credentials"])
async def test_lists_have_what_is_ones_own(world: World, path: str) -> None:
    ids = await world.ids(Row("DELETE /v1/send/{id}", SESSION), everything=True)
    answer = await world.site.client.delete(f"/v1/send/{ids['submission_id']}", headers=await world.session(world.ada))
    assert answer.status_code == 200
    hers = str(await world.read(f"/v1/{path}", await world.session(world.ada)))
    shown = str(await world.read(f"/v1/{path}", await world.session(world.eve)))
    names = [name for name in ids.values() if len(name) > 2 and name in hers]
    assert names and not any(name in shown for name in names)


async def test_a_webhook_of_somebody_else_cannot_be_turned(world: World) -> None:
    ids = await world.ids(Row("DELETE /v1/webhooks/{id}", SESSION))
    form = {"id": ids["webhook_id"], "url": "https://eve.test/in"}
    answer = await world.site.client.post("/v1/webhooks", json=form, headers=await world.session(world.eve))
    assert (answer.status_code, answer.json()["reason"]) == (404, "webhook")
    assert "eve.test" not in str(await world.read("/v1/webhooks", await world.session(world.ada)))
