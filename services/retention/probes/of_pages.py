"""Probes that look at what anybody gets who opens a page or calls the API."""

from __future__ import annotations

import base64
import re
import secrets
from urllib.parse import quote

from services.retention.probes.mails import letter, public_inbox, wait_for_public
from services.retention.probes.world import Broken, UnknowableError, World, mark

_PAGES = ("/", "/privacy", "/transparency")
# By when everybody has heard of the version in force.
_TOLD_SECONDS = 120
_PAGE = 500
# What makes a browser ask another site; links that people follow do not.
_LOADS = re.compile(
    rb"""<(?:script|img|iframe|source|video|audio|embed|object|input)\b[^>]*?\b(?:src|data)\s*=\s*["']?(?:https?:)?//"""
    rb"""|<link\b[^>]*?\bhref\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import"""
)
_OWN_SOURCES = frozenset({"'none'", "'self'", "data:", "blob:"})
# What only those who hold a role can ask for; to everybody else there is nothing there, or he is told that he may not.
STAFF = (
    "/v1/operator/dns",
    "/v1/operator/health",
    "/v1/operator/audit",
    "/v1/operator/holders",
    "/v1/operator/statistics",
    "/v1/operator/budget",
    "/v1/operator/retention",
    "/v1/operator/policy/versions",
    "/v1/operator/concerns",
    "/v1/operator/billing/payments",
    "/v1/operator/billing/invoices",
    "/v1/operator/billing/reconciliations",
    "/v1/disclosure/cases",
)
# What they can do; who is let in is told that the form is wrong, so nothing comes of it.
STAFF_DOES = (
    "/v1/operator/holders",
    "/v1/operator/retention/probes",
    "/v1/operator/billing/payments",
    "/v1/disclosure/cases",
)
_WRONG: dict[str, object] = {"clause": 0}


async def no_third_party(world: World) -> None:
    """E1: no page loads anything from another site, and none may."""
    for path in _PAGES:
        answer = await world.web.ask("GET", path)
        if answer.status == 404 and path == "/":
            continue
        if answer.status != 200:
            raise UnknowableError("page")
        if _LOADS.search(answer.body):
            raise Broken("page_loads_elsewhere")
        for directive in answer.header("content-security-policy").split(";"):
            name, *sources = directive.split()
            if name.endswith("-src") and not all(one in _OWN_SOURCES or one.startswith("'sha256-") for one in sources):
                raise Broken("policy_allows_elsewhere")
        if "default-src 'none'" not in answer.header("content-security-policy"):
            raise Broken("policy_missing")
        if answer.header("referrer-policy") != "no-referrer":
            raise Broken("referrer_told")


async def one_cookie(world: World) -> None:
    """E4: no cookie before signing in, exactly one after, which the browser forgets and signing out ends."""
    for path in (*_PAGES, "/v1/info"):
        if (await world.web.ask("GET", path)).all("set-cookie"):
            raise Broken("cookie_before_sign_in")
    person = await world.people.of("sealed")
    form = {"address": person.address, "authentication_key": _b64(person.authentication_key)}
    signed_in = await world.web.ask("POST", "/v1/session", form=form)
    cookies = signed_in.all("set-cookie")
    if signed_in.status != 200:
        raise UnknowableError("sign_in")
    if len(cookies) != 1:
        raise Broken("not_one_cookie")
    name, _, rest = cookies[0].partition("=")
    token, *attributes = [part.strip().lower() for part in rest.split(";")]
    if name != "__Host-session" or not {"httponly", "secure", "samesite=strict", "path=/"} <= set(attributes):
        raise Broken("cookie_attributes")
    if any(part.startswith(("max-age", "expires")) for part in attributes):
        raise Broken("cookie_stays")
    token = rest.partition(";")[0]
    if (await world.web.ask("DELETE", "/v1/session", token=token)).status != 204:
        raise UnknowableError("sign_out")
    if (await world.web.ask("GET", "/v1/session", token=token)).status != 401:
        raise Broken("session_after_sign_out")


async def roles_refused(world: World) -> None:
    """E12: what is for staff is not there for anybody else."""
    person = await world.people.of("sealed")
    asked = [("GET", path, None) for path in STAFF] + [("POST", path, _WRONG) for path in STAFF_DOES]
    for method, path, form in asked:
        for token in (person.token, ""):
            answer = await world.web.ask(method, path, form=form, token=token)
            if answer.status >= 500:
                raise UnknowableError("staff_route")
            if answer.status not in (401, 403, 404):
                raise Broken("staff_route_open")


async def abuse_is_limited(world: World) -> None:
    """E13: whoever tries passwords has to wait, and what he tried is kept nowhere."""
    address = f"{mark()}@{_domain(await _info(world), 'member_domains')}"
    form = {"address": address, "authentication_key": _b64(secrets.token_bytes(32))}
    for _ in range(25):
        answer = await world.web.ask("POST", "/v1/session", form=form)
        if answer.status == 429:
            break
        if answer.status != 401:
            raise UnknowableError("sign_in")
    else:
        raise Broken("guesses_unlimited")
    if await world.traces(address):
        raise Broken("guess_kept")


async def public_is_told(world: World) -> None:
    """P1: who looks into a public inbox is told that it is one."""
    address = await public_inbox(world)
    answer = await world.web.ask("GET", f"/v1/public/{quote(address)}/messages")
    if answer.status != 200:
        raise UnknowableError("public")
    if "public" not in str(answer.json().get("notice", "")).lower():
        raise Broken("not_told")


async def public_without_account(world: World) -> None:
    """P2: a public inbox needs no account, and looking at it gives no cookie."""
    address = await public_inbox(world)
    answer = await world.web.ask("GET", f"/v1/public/{quote(address)}/messages")
    if answer.status in (401, 403, 404):
        raise Broken("account_needed")
    if answer.status != 200:
        raise UnknowableError("public")
    if answer.all("set-cookie"):
        raise Broken("cookie")


async def mail_runs_nothing(world: World) -> None:
    """P6: the page lets nothing of a mail run, and a mail is handed out as something that no browser opens."""
    page = await world.web.ask("GET", "/")
    policy = {name: sources for name, *sources in (one.split() for one in _directives(page.header(_POLICY)))}
    # Every answer brings it, whether there is a page or not.
    if policy.get("script-src") != ["'self'"] or policy.get("form-action") != ["'none'"]:
        raise Broken("page_policy")
    address = await public_inbox(world)
    found = mark()
    content = letter(f"{found}@elsewhere.example", address, found, html="<script>alert(1)</script>")
    if await world.smtp.send(f"{found}@elsewhere.example", [address], content) != 250:
        raise UnknowableError("smtp_refused")
    (message, *_) = await wait_for_public(world, address, 1)
    raw = await world.web.ask("GET", f"/v1/public/{quote(address)}/messages/{message['id']}/raw")
    if raw.status != 200:
        raise UnknowableError("raw")
    if raw.header("x-content-type-options") != "nosniff" or raw.header("content-type").startswith("text/html"):
        raise Broken("content_runs")
    if not raw.header("content-disposition").startswith("attachment"):
        raise Broken("content_shown")


async def stands_alone(world: World) -> None:
    """P7: this installation serves its own policy at its own doors."""
    answer = await world.web.ask("GET", "/.well-known/sealpost-policy.json")
    if answer.status != 200:
        raise Broken("policy_not_served")
    document = answer.json()["document"]
    rules = {name: rule["value"] for name, rule in document["rules"].items()}
    if any(rules[name] != world.numbers.rule(name) for name in rules if name in world.policy.rules):
        if await _just_replaced(world):
            raise UnknowableError("version_new")
        raise Broken("other_numbers")
    address = await public_inbox(world)
    content = letter("probe@elsewhere.example", address, mark())
    if await world.smtp.send("probe@elsewhere.example", [address], content) != 250:
        raise Broken("mail_refused")


async def _just_replaced(world: World) -> bool:
    """Tell whether another version of the policy has come into force: who serves it keeps the last for some seconds."""
    before = await world.ledger.last_until(world.now - _TOLD_SECONDS)
    late = await world.ledger.read(before.number + 1 if before is not None else 1, _PAGE)
    return any(entry.kind == "version_activated" and entry.data.get("replaces") for entry in late)


_POLICY = "content-security-policy"


def _directives(policy: str) -> list[str]:
    return [one for one in policy.split(";") if one.strip()]


async def _info(world: World) -> dict[str, object]:
    info: dict[str, object] = (await world.web.ask("GET", "/v1/info")).json()
    return info


def _domain(info: dict[str, object], kind: str) -> str:
    domains = info.get(kind)
    if not isinstance(domains, list) or not domains:
        raise UnknowableError("no_domain")
    return str(domains[0])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
