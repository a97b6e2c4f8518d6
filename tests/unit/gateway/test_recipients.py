"""Whom one is about to write to."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from libs.net.http import Fetched
from libs.runtime.errors import UnavailableError
from tests.unit.gateway.certificates import ADDRESS, key_of
from tests.unit.gateway.fakes import Gateway, gateway
from tests.unit.gateway.test_lookup import ADVANCED


async def test_each_address_has_its_way(site: Gateway) -> None:
    site.sign_in()
    site.http.answers = {ADVANCED: Fetched(200, {}, key_of().certificate)}
    asked = ["Bob@member.test", ADDRESS, "x@public.test", "open@example.net", "nobody@member.test"]
    answer = await site.client.post("/v1/recipients", json={"addresses": asked})
    assert answer.status_code == 200
    found = answer.json()["recipients"]
    assert [one["address"] for one in found] == asked
    assert [one["kind"] for one in found] == ["member", "wkd", "public", "open", "unknown"]
    assert found[0]["certificate"] == base64.b64encode(b"certificate").decode()
    assert found[1]["fingerprint"] == key_of().fingerprint
    assert all(one["certificate"] is None and one["fingerprint"] is None for one in found[2:])


async def test_nothing_of_ours_is_looked_up_elsewhere_and_nobody_is_named(site: Gateway) -> None:
    site.sign_in()
    addresses = ["bob@member.test", "nobody@member.test", "x@public.test", "ann@example.org"]
    await site.client.post("/v1/recipients", json={"addresses": addresses})
    assert site.http.asked == [ADVANCED + "?l=ann"]


async def test_only_a_session_may_ask(site: Gateway) -> None:
    given = {"addresses": [ADDRESS]}
    assert (await site.client.post("/v1/recipients", json=given)).status_code == 401
    headers = {"authorization": "Bearer sp_read"}
    assert (await site.client.post("/v1/recipients", json=given, headers=headers)).status_code == 401
    assert site.http.asked == []


@pytest.mark.parametrize("addresses", [[], ["a@b.example"] * 51, ["x"], ["a" * 400], [1], "a@b.example"])
async def test_bad_questions_are_refused(site: Gateway, addresses: object) -> None:
    site.sign_in()
    answer = await site.client.post("/v1/recipients", json={"addresses": addresses})
    assert (answer.status_code, answer.json()["reason"]) == (422, "fields")


async def test_a_service_that_fails_is_no_absence(site: Gateway) -> None:
    site.sign_in()
    site.accounts.resolve_error = UnavailableError("unreachable")
    assert (await site.client.post("/v1/recipients", json={"addresses": [ADDRESS]})).status_code == 503
    assert site.http.asked == []


async def test_looking_around_has_a_limit(web: Path) -> None:
    async with gateway(web, recipients_per_minute=50) as site:
        site.sign_in()
        many = {"addresses": [f"a{number}@member.test" for number in range(50)]}
        assert (await site.client.post("/v1/recipients", json=many)).status_code == 200
        answer = await site.client.post("/v1/recipients", json={"addresses": [ADDRESS]})
        assert answer.status_code == 429 and "retry-after" in answer.headers
