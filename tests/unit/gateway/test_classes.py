"""The words that requests become: a closed list for each header, whatever stands in it, in bounded time."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from libs.policy import load_policy
from services.gateway.http.app import _ROUTERS
from services.gateway.http.classes import (
    Browsers,
    language_of,
    page_of,
    referrer_of,
    status_class,
    version_of,
)

BROWSERS = Browsers(most=100)
WORDS = load_policy().metrics["http_requests"].dimensions
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
HOSTILE = [
    "A" * 10_240,
    "Mozilla/5.0 (" * 800,
    "Chrome/1\x00",
    "Firefox/1\r\nX-Injected: 1",
    "\x1b[31mChrome/1",
    "Chrome/1\x7f",
    "Chröme/1",
    "://" * 3000,
    "https://" + "a." * 5000,
    "," * 10_000,
    "other",
]


def scope_of(path: str, template: str = "") -> dict[str, Any]:
    class Route:
        path = template

    return {"path": path, "http_version": "1.1"} | ({"route": Route()} if template else {})


def test_every_route_of_the_api_has_a_class_of_the_policy() -> None:
    others = set()
    for router in _ROUTERS:
        for route in router.routes:
            template = str(getattr(route, "path", ""))
            word = page_of(scope_of("/", template))
            assert word in WORDS["page"]
            if word == "other":
                others.add(template)
    assert others == set()


@pytest.mark.parametrize(
    ("path", "template", "word"),
    [
        ("/", "", "page"),
        ("/mail/inbox", "", "page"),
        ("/public/a.b@public.test", "", "page"),
        ("/operator", "", "operator"),
        ("/operator/audit", "", "operator"),
        ("/assets/main-abc.js", "", "asset"),
        ("/favicon.ico", "", "asset"),
        ("/v1/nothing", "", "other"),
        ("/.well-known/other", "", "other"),
        ("/v1/messages", "/v1/messages", "api_messages"),
        ("/v1/messages/x", "/v1/messages/{message_id}/body", "api_message"),
        ("/v1/public/x", "/v1/public/{address:path}/messages", "api_public"),
        ("/.well-known/openpgpkey/x", "/.well-known/openpgpkey/hu/{name}", "directory"),
        ("/u/x", "/u/{token}", "unsubscribe"),
        ("/m/x", "/m/{token}", "measure"),
        ("/openapi.json", "/openapi.json", "api_info"),
    ],
)
def test_pages(path: str, template: str, word: str) -> None:
    assert page_of(scope_of(path, template)) == word


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("", "none"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36", "chrome"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 CriOS/131.0 Mobile", "chrome"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "firefox"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 FxiOS/131.0 Mobile", "firefox"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/17.5 Safari/605.1.15", "safari"),
        (f"Mozilla/5.0 (Windows NT 10.0) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "edge"),
        (f"Mozilla/5.0 (Windows NT 10.0) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36 OPR/116.0.0.0", "opera"),
        (f"Mozilla/5.0 (Linux; Android 13; SM-S908B) {_WEBKIT} SamsungBrowser/23.0 Chrome/115.0 Mobile", "samsung"),
        ("curl/8.5.0", "library"),
        ("python-httpx/0.28", "library"),
        ("Go-http-client/1.1", "library"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/131.0.0.0 Safari/537.36", "bot"),
        ("kube-probe/1.29", "bot"),
        ("Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko", "other"),
        ("something else", "other"),
    ],
)
def test_browsers(field: str, word: str) -> None:
    assert BROWSERS.family(field) == word
    assert BROWSERS.family(field) == word


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("", "none"),
        ("http://mail.test/sign-in", "own"),
        ("http://mail.test.evil.test/", "other"),
        ("http://mail.test@evil.test/", "other"),
        ("https://www.google.com/", "search"),
        ("https://google.co.uk/search?q=x", "search"),
        ("https://google.evil.test/", "other"),
        ("https://duckduckgo.com", "search"),
        ("https://mail.google.com/mail", "mail"),
        ("android-app://com.google.android.gm/", "mail"),
        ("https://l.facebook.com/l.php", "social"),
        ("https://notfacebook.com/", "other"),
        ("https://t.co/abc", "social"),
        ("about:blank", "other"),
        ("http://", "other"),
        ("https://xn--bcher-kva.test/", "other"),
    ],
)
def test_referrers(field: str, word: str) -> None:
    assert referrer_of(field, "mail.test") == word


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("", "none"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("EN", "en"),
        ("zh-Hant-TW", "zh"),
        ("fr;q=1", "fr"),
        ("*", "other"),
        ("none", "other"),
        ("sv", "other"),
        ("-de", "other"),
    ],
)
def test_languages(field: str, word: str) -> None:
    assert language_of(field) == word


def test_versions_and_statuses() -> None:
    assert [version_of({"http_version": one}) for one in ("1.0", "1.1", "2", "3", "9")] == list(WORDS["version"])
    found = [status_class(one) for one in (204, 304, 404, 503, 999, 101)]
    assert found == ["2xx", "3xx", "4xx", "5xx", "other", "other"]


@pytest.mark.parametrize("field", HOSTILE)
def test_hostile_headers_become_words_in_bounded_time(field: str) -> None:
    began = process_time()
    for number in range(100):
        assert BROWSERS.family(field + str(number)) == "other"
        assert referrer_of(field, field) == "other"
        assert language_of(field) == "other"
    assert process_time() - began < 0.5


def test_what_is_remembered_is_bounded_and_says_nothing() -> None:
    browsers = Browsers(most=100)
    for number in range(1000):
        browsers.family(f"canary-agent/{number}")
    assert len(browsers._known) == 100
    assert "canary" not in repr(browsers._known)


def test_every_word_is_one_of_the_policy() -> None:
    for field in [*HOSTILE, "", "curl/1", "de", "https://t.co"]:
        assert BROWSERS.family(field) in WORDS["browser"]
        assert referrer_of(field, "mail.test") in WORDS["referrer"]
        assert language_of(field) in WORDS["language"]
