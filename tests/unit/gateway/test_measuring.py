"""Opens and clicks over HTTP: links that are followed, who is not counted, and what a campaign's owner is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, UnavailableError
from protos.analytics.v1 import analytics_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http.campaign_responses import sum_half_width
from tests.unit.gateway.fakes import Gateway
from tests.unit.gateway.relay_fakes import ACCOUNT, KEPT_TERMS, KEY, Relay, relay_on

NUMBER = 0xA3F1_0000_5EA1_9057
DAY = 86400


@pytest.fixture
def relay(site: Gateway) -> Relay:
    """A gateway with a delivery behind it that answers everything."""
    return relay_on(site)


async def test_a_link_leads_on_and_is_counted_once(relay: Relay) -> None:
    answer = await relay.site.client.get("/m/click")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/%C3%BC?a=1&b=%20#c")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers and answer.content == b""
    assert relay.delivery.asked == [pb.FollowLinkRequest(token="click", count=True)]


@pytest.mark.parametrize("path", ["/m/open", "/m/open.gif"])
async def test_the_dot(relay: Relay, path: str) -> None:
    answer = await relay.site.client.get(path)
    assert (answer.status_code, answer.headers["content-type"], len(answer.content)) == (200, "image/gif", 43)
    assert answer.content.startswith(b"GIF89a\1\0\1\0") and answer.content.endswith(b";")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "set-cookie" not in answer.headers
    assert relay.delivery.asked == [pb.FollowLinkRequest(token="open", count=True)]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"sec-purpose": "prefetch"}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
        ("GET", {"purpose": "Prefetch"}),
        ("GET", {"x-purpose": "preview"}),
        ("GET", {"x-moz": "prefetch"}),
    ],
)
async def test_who_looks_ahead_is_not_counted(relay: Relay, method: str, headers: dict[str, str]) -> None:
    for token, status in (("click", 302), ("open", 200)):
        answer = await relay.site.client.request(method, f"/m/{token}", headers=headers)
        assert answer.status_code == status
        assert method == "GET" or answer.content == b""
        assert relay.delivery.asked.pop() == pb.FollowLinkRequest(token=token, count=False)


@pytest.mark.parametrize("path", ["/m/forged", "/m/forged.gif", f"/m/{'x' * 4001}", "/m/https:evil.example"])
async def test_what_is_not_ours_leads_nowhere(relay: Relay, path: str) -> None:
    answer = await relay.site.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "location" not in answer.headers and "evil" not in answer.text and "leads nowhere" in answer.text


async def test_a_link_while_delivery_is_away(relay: Relay) -> None:
    relay.delivery.error = UnavailableError("kek_missing")
    for answer in (await relay.site.client.get("/m/click"), await relay.site.client.post("/o/good")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "location" not in answer.headers


async def test_nothing_happens_before_the_button_is_pressed(relay: Relay) -> None:
    answer = await relay.site.client.get("/o/good")
    assert answer.status_code == 200 and '<form method="post">' in answer.text and relay.delivery.asked == []
    # As a browser sends it from a page without referrer.
    headers = {"origin": "null", "sec-fetch-site": "same-origin"}
    pressed = await relay.site.client.post("/o/good", headers=headers)
    assert pressed.status_code == 200 and relay.delivery.asked == [pb.CountNoMoreRequest(token="good")]
    guessed = await relay.site.client.post("/o/guessed")
    assert (guessed.status_code, guessed.text) == (200, pressed.text)


async def test_switches(relay: Relay) -> None:
    path = "/v1/campaigns/spring/measuring"
    assert (await relay.site.client.get(path)).status_code == 401
    found = await relay.site.client.get(path, headers=KEY)
    assert found.json() == {"opens": False, "clicks": False}
    put = await relay.site.client.put(path, json={"clicks": True}, headers=KEY)
    assert put.json() == {"opens": False, "clicks": True}
    wanted = pb.PutMeasuringRequest(account_id=ACCOUNT, campaign="spring", clicks=True, terms=KEPT_TERMS)
    assert relay.delivery.asked[-1] == wanted
    for wrong in ({"opens": "perhaps"}, {"views": True}):
        assert (await relay.site.client.put(path, json=wrong, headers=KEY)).status_code == 422


async def test_a_campaign_that_never_counted_has_no_numbers(relay: Relay) -> None:
    found = (await relay.site.client.get("/v1/campaigns/quiet/responses", headers=KEY)).json()
    assert (found["days"], found["opens"], found["clicks"]) == ([], None, None)
    assert relay.site.analytics.asked == []


async def test_responses(relay: Relay) -> None:
    now = unix_seconds(relay.site.clock)
    today = now - now % DAY
    told = analytics_pb2.ReleasesResponse()
    for ago, cells in ((4, {"open": 210, "click": 190}), (3, {"open": 230}), (2, {})):
        start = today - ago * DAY
        release = told.releases.add(start=start, end=start + DAY, scale=40 / 3, half_width=40, threshold=180)
        for response, value in cells.items():
            release.cells.add(values=[response], value=value, key=NUMBER)
    told.missing.add(start=today - DAY, end=today, reason="lost")
    told.missing.add(start=today, end=today + DAY, reason="open")
    relay.site.analytics.of_key = told
    found = (await relay.site.client.get("/v1/campaigns/spring/responses?days=5", headers=KEY)).json()
    (request,) = relay.site.analytics.asked
    assert (request.metric, request.cut, request.key) == ("campaign_responses", "by_campaign", NUMBER)
    assert (getattr(request, "from"), request.until) == (today - 4 * DAY, now)
    assert [one["state"] for one in found["days"]] == ["released", "released", "released", "lost", "open"]
    assert [one["opens"] for one in found["days"][:3]] == [
        {"value": 210, "half_width": 40},
        {"value": 230, "half_width": 40},
        None,
    ]
    assert found["clicks"] == {"value": 190, "half_width": sum_half_width([40 / 3]), "days": 1}
    assert found["opens"] == {"value": 440, "half_width": sum_half_width([40 / 3] * 2), "days": 2}
    assert found["opens"]["half_width"] < 80
    assert "noise" in found["noise"]


@pytest.mark.parametrize("query", ["days=0", "days=93", "days=x"])
async def test_a_range_that_is_not_told(relay: Relay, query: str) -> None:
    answer = await relay.site.client.get(f"/v1/campaigns/spring/responses?{query}", headers=KEY)
    assert answer.status_code == 422


@pytest.mark.parametrize("scale", [0.5, 4 / 0.3, 100.0])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 31, 92])
def test_the_interval_of_a_sum_is_never_too_narrow(scale: float, count: int) -> None:
    """Against the exact distribution, convolved."""
    reach = math.ceil(scale * 40) + 20
    q = math.exp(-1 / scale)
    one = (1 - q) / (1 + q) * q ** np.abs(np.arange(-reach, reach + 1))
    size = 1 << (2 * reach * count + 1).bit_length()
    exact = np.fft.irfft(np.fft.rfft(one, size) ** count, size)[: 2 * reach * count + 1]
    width, middle = sum_half_width([scale] * count), reach * count
    inside = float(exact[middle - width : middle + width + 1].sum())
    assert inside >= 0.95 - 1e-6
    # And not much wider than needed.
    assert inside <= 0.96 or float(exact[middle - width + 2 : middle + width - 1].sum()) < 0.95


def test_no_noise_no_width() -> None:
    assert sum_half_width([]) == 0


async def test_an_unknown_error_is_not_a_redirect(relay: Relay) -> None:
    relay.delivery.error = NotFoundError("token_unknown")
    assert (await relay.site.client.get("/m/click")).status_code == 404
