"""The class of each part of a request, for the statistics: words of libs/policy/policy.yaml, and no other.

What a client writes into its headers ends here. Each header is looked at up to a bounded length, and gives one of few
words; one that is longer, or has characters that no such header has, is "other" unseen. Families of browsers come from
ua-parser, whose expressions run in linear time; what was found is remembered by a hash of the text, not by the text.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from starlette.types import Scope
from ua_parser import Domain, loaders
from ua_parser.regex import Resolver

from libs.policy import OTHER, load_policy

NONE = "none"
_LANGUAGES = frozenset(load_policy().metrics["http_requests"].dimensions["language"])
_VERSIONS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2", "3": "HTTP/3"}
_LONGEST_AGENT, _LONGEST_REFERRER, _LONGEST_LANGUAGE = 512, 2048, 256
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")

# By the first segment of a template, of those of the API by the second.
_AREAS = {
    ".well-known": "directory",
    "u": "unsubscribe",
    "f": "forwarding",
    "m": "measure",
    "o": "measure",
    "openapi.json": "api_info",
    "privacy": "page",
    "transparency": "page",
    "erasure": "page",
    "evidence": "directory",
}
_API = {
    "info": "api_info",
    "kdf": "api_session",
    "session": "api_session",
    "sessions": "api_session",
    "recovery": "api_session",
    "accounts": "api_account",
    "account": "api_account",
    "credentials": "api_account",
    "forwarding": "api_account",
    "mailbox": "api_mailbox",
    "folders": "api_mailbox",
    "messages": "api_messages",
    "public": "api_public",
    "outbox": "api_outbox",
    "send": "api_send",
    "sending": "api_sending",
    "campaigns": "api_sending",
    "suppressions": "api_sending",
    "sender-domains": "api_sending",
    "webhooks": "api_sending",
    "objects": "api_objects",
    "recipients": "api_recipients",
    "events": "api_events",
    "operator": "api_operator",
    "rights": "api_account",
    "concerns": "api_account",
    "erasures": "api_account",
    "disclosure": "api_operator",
    "billing": "api_account",
}

_GOOGLE = re.compile(r"(?:www\.|news\.|images\.)?google\.(?:com|[a-z]{2}|com?\.[a-z]{2})\Z")
_SEARCH = (
    "bing.com",
    "duckduckgo.com",
    "search.yahoo.com",
    "ecosia.org",
    "qwant.com",
    "startpage.com",
    "search.brave.com",
    "yandex.ru",
    "yandex.com",
    "baidu.com",
    "seznam.cz",
    "naver.com",
    "kagi.com",
    "com.google.android.googlequicksearchbox",
)
_SOCIAL = (
    "facebook.com",
    "instagram.com",
    "threads.net",
    "linkedin.com",
    "lnkd.in",
    "twitter.com",
    "x.com",
    "t.co",
    "reddit.com",
    "youtube.com",
    "tiktok.com",
    "pinterest.com",
    "bsky.app",
    "mastodon.social",
    "news.ycombinator.com",
    "t.me",
    "discord.com",
    "vk.com",
)
_MAIL = (
    "mail.google.com",
    "outlook.live.com",
    "outlook.office.com",
    "outlook.office365.com",
    "mail.yahoo.com",
    "mail.proton.me",
    "app.fastmail.com",
    "mail.zoho.com",
    "mail.aol.com",
    "gmx.net",
    "web.de",
    "mail.ru",
    "com.google.android.gm",
)
_SITES = {site: word for word, sites in (("search", _SEARCH), ("social", _SOCIAL), ("mail", _MAIL)) for site in sites}

_LIBRARIES = (
    "python",
    "go-http-client",
    "curl",
    "wget",
    "okhttp",
    "java",
    "apache-httpclient",
    "axios",
    "node-fetch",
    "undici",
    "libwww-perl",
    "ruby",
    "php",
    "guzzlehttp",
    "sealpost",
    "postmanruntime",
    "insomnia",
    "httpie",
    "dart",
    "rust",
    "reqwest",
)
_BOTS = ("bot", "crawl", "spider", "headless", "monitor", "probe", "preview", "facebookexternalhit")
_FAMILIES = (
    ("samsung", "samsung"),
    ("edge", "edge"),
    ("opera", "opera"),
    ("firefox", "firefox"),
    ("chrom", "chrome"),
    ("mobile safari", "safari"),
    ("safari", "safari"),
)


def page_of(scope: Scope) -> str:
    """Return the class of what was asked for, from the template of the route that answered."""
    template = template_of(scope)
    if template:
        return _of_template(template)
    path: str = scope["path"]
    first, _, rest = path.removeprefix("/").partition("/")
    if first == "v1" or first in _AREAS:
        return OTHER
    if first == "operator":
        return "operator"
    last = rest.rpartition("/")[2] or first
    return "asset" if first == "assets" or ("." in last and "@" not in last) else "page"


def template_of(scope: Scope) -> str:
    """Return the template of the route that answered, "" where none of the API's did."""
    return getattr(scope.get("route"), "path", "")


def _of_template(template: str) -> str:
    parts = template.split("/")
    if parts[1] != "v1":
        return _AREAS.get(parts[1], OTHER)
    if parts[2] == "messages" and len(parts) > 3 and parts[3].startswith("{"):
        return "api_message"
    return _API.get(parts[2], OTHER)


def status_class(status: int) -> str:
    """Return the class of a status code; one outside of 200 to 599 is other."""
    return f"{status // 100}xx" if 200 <= status < 600 else OTHER


def version_of(scope: Scope) -> str:
    """Return the version of HTTP that was spoken."""
    return _VERSIONS.get(scope.get("http_version", ""), OTHER)


def language_of(field: str) -> str:
    """Return the language that Accept-Language (RFC 9110, 12.5.4) names first."""
    if not field:
        return NONE
    if len(field) > _LONGEST_LANGUAGE:
        return OTHER
    first = field.partition(",")[0].partition(";")[0].strip().partition("-")[0].lower()
    return first if first in _LANGUAGES and first != NONE else OTHER


def referrer_of(field: str, own: str) -> str:
    """Return the class of Referer (RFC 9110, 10.1.3); `own` is our host, with its port, as browsers see it."""
    if not field:
        return NONE
    scheme, separator, rest = field[:_LONGEST_REFERRER].partition("://")
    if not separator or len(field) > _LONGEST_REFERRER or not _PRINTABLE.match(field):
        return OTHER
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].lower()
    if scheme in ("http", "https") and authority == own.lower() != "":
        return "own"
    host = authority.rpartition("@")[2].partition(":")[0]
    if _GOOGLE.match(host):
        return "search"
    while host:
        if host in _SITES:
            return _SITES[host]
        host = host.partition(".")[2]
    return OTHER


class Browsers:
    """Tells families of browsers from User-Agent (RFC 9110, 10.1.5)."""

    def __init__(self, most: int = 2048) -> None:
        """Load the expressions, which takes a fifth of a second; remember the last `most` texts by their hash."""
        agents, _, _ = loaders.load_lazy_builtins()
        self._resolver = Resolver((agents, [], []))
        self._most = most
        self._known: OrderedDict[int, str] = OrderedDict()

    def family(self, field: str) -> str:
        """Return the family."""
        if not field:
            return NONE
        if len(field) > _LONGEST_AGENT:
            return OTHER
        # Keyed by a secret of this process (SipHash): what it was made from cannot be read here.
        key = hash(field)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        family = self._known[key] = self._found(field)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return family

    def _found(self, field: str) -> str:
        if not _PRINTABLE.match(field):
            return OTHER
        agent = self._resolver(field, Domain.USER_AGENT).user_agent
        family = agent.family.lower() if agent is not None else ""
        if any(word in family for word in _BOTS) or (not family and any(word in field.lower() for word in _BOTS)):
            return "bot"
        if (family or field.lower()).startswith(_LIBRARIES):
            return "library"
        return next((word for start, word in _FAMILIES if family.startswith(start)), OTHER)
