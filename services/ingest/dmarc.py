"""DMARC (RFC 7489): whether the domain in From stands behind the mail, by SPF or DKIM of the same organisation.

authheaders reads the records and brings the public suffix list; the rest of it is not used: it takes a domain in From
or MAIL FROM only up to the first hyphen, so that mail of "bank.example-evil.test" counts as aligned with
"bank.example", and it parses the suffix list anew for every mail.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from authheaders.dmarc_lookup import DMARCException, answer_to_dict
from publicsuffix2 import PublicSuffixList

from services.ingest.resolver import TemporaryDnsError
from services.ingest.signatures import DOMAIN, Ask

_POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The result, and the policy of the domain if it has one."""

    result: str
    policy: str = ""


class Organisations:
    """Organisational domains (RFC 7489 3.2)."""

    def __init__(self) -> None:
        """Read the public suffix list, which takes some 50 ms."""
        name = importlib.resources.files("authheaders") / "public_suffix_list.txt"
        with name.open(encoding="utf-8") as lines:
            self._suffixes = PublicSuffixList(lines)

    def of(self, domain: str) -> str:
        """Return the organisational domain of `domain`."""
        found = self._suffixes.get_sld(domain.lower())
        return str(found) if found else domain.lower()

    def aligned(self, one: str, other: str, mode: str) -> bool:
        """Tell whether two domains are aligned; `mode` is "s" for strict, anything else is relaxed."""
        if not one or not other:
            return False
        if one.lower() == other.lower():
            return True
        return mode != "s" and self.of(one) == self.of(other)


def evaluate(
    author: str, spf_domain: str, dkim_domains: Iterable[str], organisations: Organisations, ask: Ask
) -> Dmarc:
    """Return the result for the domain `author` of From.

    `spf_domain` is that of MAIL FROM if SPF passed, else ""; `dkim_domains` are those of valid signatures.
    """
    if not author or not DOMAIN.match(author):
        return Dmarc("permerror")
    organisation = organisations.of(author)
    try:
        record = _record(author, ask) or (_record(organisation, ask) if organisation != author else None)
    except TemporaryDnsError:
        return Dmarc("temperror")
    except DMARCException:
        return Dmarc("permerror")
    if not record:
        return Dmarc("none")
    policy = record.get("p", "") if organisation == author else record.get("sp", record.get("p", ""))
    passed = organisations.aligned(author, spf_domain, record.get("aspf", "r")) or any(
        organisations.aligned(author, domain, record.get("adkim", "r")) for domain in dkim_domains
    )
    return Dmarc("pass" if passed else "fail", policy if policy in _POLICIES else "none")


def _record(domain: str, ask: Ask) -> Mapping[str, str] | None:
    """Return the tags of the one DMARC record of `domain`, None if there is none or more than one (6.6.3)."""
    texts = [bytes(text).decode("ascii", "replace") for text in ask(f"_dmarc.{domain}", "TXT")]
    records = [text for text in texts if text.partition(";")[0].replace(" ", "") == "v=DMARC1"]
    return answer_to_dict(records[0]) if len(records) == 1 else None
