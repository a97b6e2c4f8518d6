"""What has to stand in the DNS for a domain that mail is sent with, and whether it does.

Ownership is shown by a TXT record whose token only this installation can compute for this account and domain, so
nothing has to be remembered for a record to be found. A domain counts as verified with ownership and one DKIM record:
the mail is then signed by a key that the domain publishes, which is what receivers judge it by (RFC 7489). SPF covers
the return path, which is ours; it is asked for because some receivers look at the domain in From all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

OWNERSHIP, SPF, DKIM, DMARC, MX = "ownership", "spf", "dkim", "dmarc", "mx"

_VERIFY = "sealpost-verify="


class RecordState(Enum):
    """What the last look found."""

    UNCHECKED = "unchecked"
    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record that should be there. `kind` is "TXT" or "MX"; names have no dot at the end."""

    name: str
    kind: str
    value: str
    purpose: str
    required: bool


@dataclass(frozen=True, slots=True)
class Installation:
    """What records point at: the name of the MX, and the domain of return paths."""

    hostname: str
    bounce_domain: str


def ownership_record(domain: str, token: str) -> Wanted:
    """Return the record that shows that a domain is an account's."""
    return Wanted(f"_sealpost.{domain}", "TXT", _VERIFY + token, OWNERSHIP, True)


def customer_records(
    domain: str, token: str, dkim: Sequence[tuple[str, str]], installation: Installation
) -> tuple[Wanted, ...]:
    """Return the records of a customer's domain; `dkim` are selectors and records of its keys."""
    return (
        ownership_record(domain, token),
        *_dkim_records(domain, dkim),
        Wanted(domain, "TXT", f"v=spf1 include:{installation.bounce_domain} ~all", SPF, False),
        Wanted(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none", DMARC, False),
    )


def own_records(domain: str, dkim: Sequence[tuple[str, str]], installation: Installation) -> tuple[Wanted, ...]:
    """Return the records of a domain of ours. Without `dkim` nobody sends with it, and the world is told so."""
    spf, dmarc = (f"v=spf1 a:{installation.hostname} -all", "quarantine") if dkim else ("v=spf1 -all", "reject")
    return (
        Wanted(domain, "MX", f"10 {installation.hostname}.", MX, True),
        Wanted(domain, "TXT", spf, SPF, True),
        *_dkim_records(domain, dkim),
        Wanted(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p={dmarc}", DMARC, True),
    )


def bounce_records(installation: Installation) -> tuple[Wanted, ...]:
    """Return the records of the domain of return paths."""
    domain = installation.bounce_domain
    return (
        Wanted(domain, "MX", f"10 {installation.hostname}.", MX, True),
        Wanted(domain, "TXT", f"v=spf1 a:{installation.hostname} -all", SPF, True),
    )


def judge(wanted: Wanted, found: Sequence[str]) -> RecordState:
    """Return how what is published (texts of TXT records, hosts of MX records) compares with what is wanted."""
    return _JUDGES[wanted.purpose](wanted.value, found)


def is_verified(records: Sequence[Wanted], states: Sequence[RecordState]) -> bool | None:
    """Tell whether mail may be sent with a domain; None where the DNS did not say enough to know."""
    by_purpose: dict[str, list[RecordState]] = {}
    for record, state in zip(records, states, strict=True):
        by_purpose.setdefault(record.purpose, []).append(state)
    parts = [_any_ok(by_purpose.get(OWNERSHIP, [])), _any_ok(by_purpose.get(DKIM, []))]
    if False in parts:
        return False
    return None if None in parts else True


def _any_ok(states: Sequence[RecordState]) -> bool | None:
    if RecordState.OK in states:
        return True
    unknown = {RecordState.UNREACHABLE, RecordState.UNCHECKED}
    return None if unknown & set(states) else False


def _dkim_records(domain: str, dkim: Sequence[tuple[str, str]]) -> tuple[Wanted, ...]:
    return tuple(Wanted(f"{selector}._domainkey.{domain}", "TXT", record, DKIM, True) for selector, record in dkim)


def _ownership(value: str, found: Sequence[str]) -> RecordState:
    # Several accounts may be on their way to the same domain, each with its record.
    if any(text.strip() == value for text in found):
        return RecordState.OK
    return RecordState.WRONG if any(text.strip().startswith(_VERIFY) for text in found) else RecordState.MISSING


def _spf(value: str, found: Sequence[str]) -> RecordState:
    policies = [words for text in found if (words := text.lower().split())[:1] == ["v=spf1"]]
    if not policies:
        return RecordState.MISSING
    # Two policies are none (RFC 7208 4.5). Of one's own, what matters is that it names us, whatever else is in it.
    mechanism = value.split()[1]
    named = {mechanism, f"+{mechanism}"} & set(policies[0])
    return RecordState.OK if len(policies) == 1 and named else RecordState.WRONG


def _dkim(value: str, found: Sequence[str]) -> RecordState:
    if not found:
        return RecordState.MISSING
    key = _tags(value)
    # RFC 6376 3.6.2.2: with several records it is not defined which one counts.
    return RecordState.OK if len(found) == 1 and _is_key(_tags(found[0]), key) else RecordState.WRONG


def _is_key(published: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return published.get("p") == wanted.get("p") and published.get("k", "rsa") == wanted.get("k", "rsa")


def _dmarc(value: str, found: Sequence[str]) -> RecordState:
    policies = [tags for text in found if (tags := _tags(text)).get("v") == "DMARC1"]
    if not policies:
        return RecordState.MISSING
    # Whichever policy the domain has chosen is its own business.
    return RecordState.OK if len(policies) == 1 and policies[0].get("p") else RecordState.WRONG


def _mx(value: str, found: Sequence[str]) -> RecordState:
    if not found:
        return RecordState.MISSING
    return RecordState.OK if value.split()[1].rstrip(".").lower() in found else RecordState.WRONG


def _tags(text: str) -> dict[str, str]:
    """Return a tag list (RFC 6376 3.2) without white space; the first of a name counts."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        tags.setdefault(name.strip(), "".join(value.split()))
    return tags


_JUDGES: dict[str, Callable[[str, Sequence[str]], RecordState]] = {
    OWNERSHIP: _ownership,
    SPF: _spf,
    DKIM: _dkim,
    DMARC: _dmarc,
    MX: _mx,
}
