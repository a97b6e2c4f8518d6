"""The HTTP side: one connection pool, one session token, and answers turned into values or ClientErrors.

The session cookie is carried by hand: it is marked Secure, so a cookie jar would not send it over plain HTTP - which
is right for everything but the loopback, and plain HTTP to anywhere else is refused here to begin with.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx

from libs.client.errors import ClientError, RefusedError, SignInNeededError, UnreachableError, UsageError

COOKIE = "__Host-session"
MAX_JSON_BYTES = 32 * 1024 * 1024
MAX_BODY_BYTES = 128 * 1024 * 1024

# (bytes so far, bytes in all or None)
OnBytes = Callable[[int, "int | None"], None]

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# A large mail over a slow line; each piece of it within the time.
_UPLOAD_TIMEOUT = httpx.Timeout(60.0, connect=10.0, write=60.0)
_SAFE = ("GET", "HEAD")
FRAME = "application/vnd.sealpost.frame"


class Http:
    """Talks to one sealpost."""

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        """Take the site's address ("https://host[:port]"), a session token if there is one.

        Raises: UsageError("url") if it is none, or plain HTTP to another machine.
        """
        self.origin = _origin(url)
        self.token = token
        self._client = httpx.Client(
            base_url=self.origin,
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
            trust_env=transport is None,
        )

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Return the JSON object that the server answers, empty for an answer without content."""
        return _json(self._exchange(method, path, {"json": body}, MAX_JSON_BYTES, None))

    def upload(self, path: str, frame: bytes, headers: Mapping[str, str]) -> dict[str, object]:
        """Bring a frame (docs/architecture.md); return the JSON object that the server answers, as `call` does."""
        given = {"content": frame, "headers": {**headers, "Content-Type": FRAME}, "timeout": _UPLOAD_TIMEOUT}
        return _json(self._exchange("POST", path, given, MAX_JSON_BYTES, None))

    def download(self, path: str, on_bytes: OnBytes | None = None) -> bytes:
        """Return the bytes that the server answers."""
        return self._exchange("GET", path, {}, MAX_BODY_BYTES, on_bytes)

    def _exchange(self, method: str, path: str, given: Mapping[str, Any], most: int, on_bytes: OnBytes | None) -> bytes:
        headers = {**given.get("headers", {}), **self._headers(method)}
        request = self._client.build_request(method, path, **{**given, "headers": headers})
        try:
            response = self._client.send(request, stream=True)
            try:
                content = _content(response, most, on_bytes)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise UnreachableError("unreachable", f"{self.origin} does not answer") from error
        finally:
            # Nothing is to be sent that this class has not decided to send.
            self._client.cookies.clear()
        self._keep_token(response)
        if response.is_success:
            return content
        raise _error(response, content)

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Accept": "application/json, application/octet-stream", "Accept-Encoding": "identity"}
        if method not in _SAFE:
            headers["Origin"] = self.origin
        if self.token:
            headers["Cookie"] = f"{COOKIE}={self.token}"
        return headers

    def _keep_token(self, response: httpx.Response) -> None:
        for header in response.headers.get_list("set-cookie"):
            try:
                cookie = SimpleCookie(header).get(COOKIE)
            except CookieError:
                continue
            if cookie is not None:
                self.token = cookie.value


def _json(content: bytes) -> dict[str, object]:
    if not content:
        return {}
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise _strange() from error
    if not isinstance(answer, dict):
        raise _strange()
    return answer


def _content(response: httpx.Response, most: int, on_bytes: OnBytes | None) -> bytes:
    content = bytearray()
    length = response.headers.get("content-length", "")
    total = int(length) if length.isdigit() else None
    for block in response.iter_bytes():
        content += block
        if len(content) > most:
            raise RefusedError("answer_too_large", "the server's answer is larger than any mail can be")
        if on_bytes is not None:
            on_bytes(len(content), total)
    return bytes(content)


def _error(response: httpx.Response, content: bytes) -> ClientError:
    """Return the error for an answer that is none; problem details (RFC 9457) where the server sends them."""
    try:
        problem = json.loads(content)
        reason, detail = str(problem["reason"]), str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, TypeError):
        reason, detail = "http", f"the server answers {response.status_code}"
    if response.status_code == 401 and reason != "bad_proof":
        return SignInNeededError(reason, "there is no valid session; sign in first")
    if response.status_code == 429 or response.status_code >= 500:
        wait = response.headers.get("retry-after", "")
        return UnreachableError(reason, f"{detail} (try again in {wait} seconds)" if wait.isdigit() else detail)
    if 300 <= response.status_code < 400:
        return UsageError("redirect", "the server redirects; give its final address")
    return RefusedError(reason, detail)


def _strange() -> ClientError:
    return UnreachableError("answer", "the answer is not that of a sealpost")


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError("url", "the address is not a URL") from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.path not in ("", "/")
        or parts.query
        or parts.username
    ):
        raise UsageError("url", "the address has the form https://host or https://host:port")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError("url_insecure", "plain http is for this machine only; use https")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
