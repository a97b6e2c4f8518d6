"""Every word that the services behind may answer with has a sentence for people, or is known never to reach them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libs.runtime import errors
from services.gateway.http.problems import STATUS, TITLES, of_error
from services.gateway.http.reasons import BUSY, DETAILS, FAULTS, FULL

ROOT = Path(__file__).parents[3]
RAISED = re.compile(
    r"\b(Invalid|NotFound|Conflict|Unauthenticated|Denied|Exhausted|Unavailable|Internal)Error\(\s*\"([a-z0-9_.-]+)\""
)
# Sources whose errors can come out of a call that the gateway makes.
SOURCES = (
    "services/accounts", "services/analytics", "services/crypto", "services/delivery", "services/storage",
    "services/retention", "services/billing", "services/gateway",
    "libs/net", "libs/rpc", "libs/runtime",
)  # fmt: skip
# Raised only where the gateway does not call.
ELSEWHERE = {
    # Settings and the command line of accounts.
    "domain_invalid", "domain_repeated", "domains_missing",
    # Of the program's own inner workings; handled where they are raised.
    "slot_taken", "exists", "duplicate", "batch_results",
    # Sealing and destroying days: ingest, and nobody.
    "public_day", "day_not_open", "destroy_after", "envelope_too_large",
    # Keys of mails on their way out, and DKIM: delivery.
    "key_count", "dkim_domain", "dkim_key_unknown", "digest",
    # Appending several copies, or none at all: ingest and delivery.
    "body", "deliveries", "delivery_id", "delivery_aborted", "delivery_changed", "duplicate_copy", "recipients",
    # Announcements of other services: retention hears them.
    "event_payload",
    # What accounts calls nobody; the gateway says session_missing instead.
    "session_invalid", "credential_invalid",
}  # fmt: skip


def raised() -> dict[str, set[str]]:
    """Return the words in the sources, each with the kinds of error that carry it."""
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        for path in (ROOT / source).rglob("*.py"):
            for kind, reason in RAISED.findall(path.read_text(encoding="utf-8")):
                found.setdefault(reason, set()).add(kind)
    return found


def test_every_word_has_a_sentence() -> None:
    words = raised()
    assert len(words) > 80
    unknown = set()
    for reason, kinds in words.items():
        # A fault or an outage of ours is told as such, whatever its word.
        hidden = kinds <= {"Internal", "Unavailable"}
        if not (hidden or reason in DETAILS or reason in FAULTS or reason in BUSY or reason in ELSEWHERE):
            unknown.add(reason)
    assert unknown == set()


def test_every_sentence_is_needed() -> None:
    own = {"fields", "origin", "rate", "body_late", "body_malformed", "request_malformed", "headers_too_large", "http"}
    own |= {"no_such_path", "method", "busy", "internal", "unavailable", "body_too_large", "too_many_attempts"}
    by_table = {"flag", "limit", "certificate_seipdv2", "deadline", "quota_messages"}
    # By the provider of payments, each by its own words.
    # What billing answers as words of a grant.
    by_table |= {"allowance_used", "plan_lacks"}
    by_table |= {
        "payment",
        "state",
        "no_portal",
        "not_needed",
        "signature",
        "paid",
        "request_id",
        "too_many",
        "nothing_left",
    }
    assert set(DETAILS) - set(raised()) - own - by_table == set()


@pytest.mark.parametrize(("reason", "sentence"), DETAILS.items())
def test_a_sentence_is_one(reason: str, sentence: str) -> None:
    assert re.fullmatch(r"[A-Z][^{}<>]{9,200}[.]", sentence), reason


def test_every_error_of_the_tree_has_a_status_with_a_title() -> None:
    assert set(STATUS) == set(errors.BY_CODE)
    assert set(STATUS.values()) <= set(TITLES)


def test_what_is_full_is_no_rate_and_what_is_busy_is_not_the_callers() -> None:
    for reason in FULL:
        assert of_error(errors.ExhaustedError(reason)).status_code == 409
    for reason in BUSY:
        answer = of_error(errors.ExhaustedError(reason))
        assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    for reason in FAULTS:
        assert of_error(errors.InvalidError(reason)).status_code == 500


def test_the_pause_is_told_in_whole_seconds_and_never_none() -> None:
    for seconds, told in ((0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (59.5, "60")):
        assert of_error(errors.ExhaustedError("rate", retry_after=seconds)).headers["retry-after"] == told
    assert of_error(errors.UnavailableError("x")).headers["retry-after"] == "5"


def test_a_fault_of_ours_tells_no_word_of_ours() -> None:
    assert b"kek_missing" not in of_error(errors.UnavailableError("kek_missing")).body
    assert b"account_damaged" not in of_error(errors.InternalError("account_damaged")).body
