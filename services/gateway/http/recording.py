"""What the gateway tells the statistics: one place that sees every answer, and in it nothing but classes of things.

When an answer begins, its request becomes facts: what was asked for, by the template of its route; whether a page was
opened; how a sign-in or a sign-up ended; that a message was fetched to be read. What the guard cannot see (who the
caller is, which profile) the routes note on the way, in an object that ends with the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from libs.policy import OTHER
from libs.telemetry.facts import Recorder
from protos.common.v1 import common_pb2
from services.gateway.http.classes import (
    Browsers,
    language_of,
    page_of,
    referrer_of,
    status_class,
    template_of,
    version_of,
)

NOTED = "sealpost.noted"
_SIGN_IN, _SIGN_UP = "/v1/session", "/v1/accounts"
_BODY = "/v1/messages/{message_id}/body"
_PUBLIC_BODY = "/v1/public/{address:path}/messages/{message_id}/raw"
_HEADERS = frozenset({b"user-agent", b"accept-language", b"referer", b"host"})
_LOGINS = {200: "success", 401: "wrong", 403: "closed", 429: "limited"}
_SIGN_UPS = {201: "made", 409: "taken", 400: "invalid", 403: "invalid", 413: "invalid", 422: "invalid", 429: "limited"}
_SHOWN = (200, 304)
_PROFILES = {
    number: name.removeprefix("PROFILE_").lower()
    for name, number in common_pb2.Profile.items()
    if number != common_pb2.PROFILE_UNSPECIFIED
}


@dataclass(slots=True)
class Noted:
    """A request: who asked, as limits know him, and what the routes say: the account or public inbox, the profile, and
    whether an API key was shown."""

    scope: Scope
    client: str = ""
    unit: str = ""
    profile: common_pb2.Profile.ValueType = common_pb2.PROFILE_UNSPECIFIED
    by_key: bool = False


def noted_in(scope: Scope) -> Noted:
    """Return what is noted of a request; where nobody wants to know, something that is thrown away."""
    found = scope.get(NOTED)
    return found if isinstance(found, Noted) else Noted(scope)


class Recording:
    """Turns answered requests into facts."""

    def __init__(self, facts: Recorder, public_url: str = "") -> None:
        """Record with `facts`; `public_url` is what browsers see, or empty where the Host header says it."""
        self._facts = facts
        self._own = public_url.partition("://")[2].rstrip("/")
        self._browsers = Browsers()

    def answered(self, noted: Noted, status: int, *, head_only: bool = False) -> None:
        """Record a request whose answer has begun with `status`; `head_only`: nobody will see more of it than that."""
        scope = noted.scope
        unit = noted.client.encode()
        page = page_of(scope)
        fields = _fields(scope)
        browser = self._browsers.family(fields.get(b"user-agent", ""))
        language = language_of(fields.get(b"accept-language", ""))
        self._facts.record(
            "http_requests",
            unit,
            page=page,
            status=status_class(status),
            version=version_of(scope),
            browser=browser,
            referrer=referrer_of(fields.get(b"referer", ""), self._own or fields.get(b"host", "")),
            language=language,
        )
        if page in ("page", "operator"):
            if status in _SHOWN and not head_only:
                self._facts.record("visitors", unit)
                self._facts.record("daily_visitors", unit, browser=browser, language=language)
            return
        self._record_proofs(noted, unit, status)
        if not head_only:
            self._record_reading(noted, status)

    def _record_proofs(self, noted: Noted, unit: bytes, status: int) -> None:
        if noted.by_key:
            outcome = "success" if noted.unit else _login(status)
            self._facts.record("logins", unit, door="api", outcome=outcome)
        if noted.scope["method"] != "POST":
            return
        # These two have no part that varies: a request that was refused before its route has its path.
        path = noted.scope["path"]
        if path == _SIGN_IN:
            self._facts.record("logins", unit, door="page", outcome=_login(status))
        elif path == _SIGN_UP:
            outcome = _SIGN_UPS.get(status, OTHER)
            self._facts.record("sign_ups", unit, profile=_word(noted.profile), outcome=outcome)

    def _record_reading(self, noted: Noted, status: int) -> None:
        if status == 200 and noted.unit and template_of(noted.scope) in (_BODY, _PUBLIC_BODY):
            self._facts.record("mail_opened", noted.unit.encode(), profile=_word(noted.profile))


def _login(status: int) -> str:
    return _LOGINS.get(status, "failed" if status >= 500 else OTHER)


def _word(profile: common_pb2.Profile.ValueType) -> str:
    return _PROFILES.get(profile, OTHER)


def _fields(scope: Scope) -> dict[bytes, str]:
    """Return the first of each of the fields that matter."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS and name not in found:
            found[name] = value.decode("latin-1")
    return found
