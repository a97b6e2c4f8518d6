"""The page: types, tags, compression, and the paths that are its own."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import pytest

from libs.runtime.settings import SettingsError
from services.gateway.http.page import VIEWS, Page, is_known, takes_gzip
from tests.unit.gateway.fakes import Gateway, gateway

SCRIPT = "export const x = 1;\n" * 500


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A built page."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>sealpost</title>" + "<p>page</p>" * 100)
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path / "assets" / "main-abc.js").write_text(SCRIPT)
    (tmp_path / "assets" / "logo-abc.png").write_bytes(b"\x89PNG" + bytes(range(256)))
    (tmp_path / "assets" / "odd-abc.xyz").write_bytes(b"?" * 5000)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/assets/main-abc.js", "text/javascript; charset=utf-8"),
        ("/assets/logo-abc.png", "image/png"),
        ("/assets/odd-abc.xyz", "application/octet-stream"),
    ],
)
async def test_types_do_not_depend_on_the_machine(site: Gateway, path: str, kind: str) -> None:
    answer = await site.client.get(path)
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_files_are_compressed_for_those_who_take_it(site: Gateway) -> None:
    packed = await site.client.get("/assets/main-abc.js", headers={"accept-encoding": "gzip, br"})
    plain = await site.client.get("/assets/main-abc.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) == len(SCRIPT)
    assert packed.text == plain.text == SCRIPT
    for answer in (packed, plain):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert packed.headers["etag"] != plain.headers["etag"]


async def test_what_does_not_shrink_is_sent_as_it_is(site: Gateway) -> None:
    answer = await site.client.get("/assets/logo-abc.png", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers and "vary" not in answer.headers


async def test_the_api_is_never_compressed(site: Gateway) -> None:
    for path in ("/v1/info", "/openapi.json", "/v1/public/a@public.test/messages", "/v1/nothing"):
        answer = await site.client.get(path, headers={"accept-encoding": "gzip, br, deflate"})
        assert "content-encoding" not in answer.headers, path


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_an_unchanged_file_is_not_sent_again(site: Gateway, encoding: str) -> None:
    first = await site.client.get("/", headers={"accept-encoding": encoding})
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await site.client.get("/", headers={"accept-encoding": encoding, "if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (tag, "Accept-Encoding")
        assert "content-length" not in again.headers and "content-security-policy" in again.headers
    changed = await site.client.get("/", headers={"accept-encoding": encoding, "if-none-match": '"other"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("GZIP;q=0.5, br", True),
        ("br, x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("", False),
        ("identity", False),
        ("gzipped", False),
        ("," * 1000 + "gzip", False),
    ],
)
def test_accept_encoding(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


def test_if_none_match() -> None:
    assert is_known('W/"a", "b"', '"a"') and is_known("*", '"a"')
    assert not is_known("", '"a"') and not is_known("a", '"a"')


async def test_paths_of_the_page_get_its_first_file_and_missing_files_nothing(site: Gateway) -> None:
    for path in ("/", "/mail/inbox", "/public/a.b@public.test", "/settings", "/public/%C3%A4@x.test"):
        answer = await site.client.get(path)
        assert answer.status_code == 200 and "<title>" in answer.text, path
    for path in ("/nothing", "/inbox/hello@public.test", "/operators"):
        answer = await site.client.get(path, headers={"if-none-match": "*"})
        assert answer.status_code == 404 and "<title>" in answer.text, path
    for path in (
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/.well-known/nothing",
        "/assets/",
        "/assets/x",
        "/assets/missing.js",
        "/robots.txt",
        "/../settings.py",
        "/%2e%2e/settings.py",
        "/assets/%2e%2e/%2e%2e/settings.py",
        "/assets/..%2f..%2fsettings.py",
        "/x/.git/config.ini",
    ):
        answer = await site.client.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (404, "no_such_path"), path


def test_the_paths_that_the_page_has_views_for_are_known_here() -> None:
    router = (Path(__file__).parents[3] / "services/gateway/web/src/app.tsx").read_text(encoding="utf-8")
    assert set(re.findall(r'^    case "([a-z-]*)":$', router, re.MULTILINE)) == VIEWS


async def test_without_a_page_there_is_the_api(tmp_path: Path) -> None:
    async with gateway(tmp_path / "absent") as running:
        assert (await running.client.get("/")).status_code == 404
        assert (await running.client.get("/v1/info")).status_code == 200


def test_a_directory_that_is_no_page_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    with pytest.raises(SettingsError, match="SEALPOST_WEB_DIR"):
        Page(tmp_path)


def test_compression_is_the_same_each_time(web: Path) -> None:
    first, second = Page(web), Page(web)
    assert first._files == second._files
    packed = first._files["/assets/main-abc.js"].content
    assert gzip.GzipFile(fileobj=io.BytesIO(packed)).read().decode() == SCRIPT
