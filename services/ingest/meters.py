"""What is counted: outcomes in closed vocabularies, never who or what."""

from __future__ import annotations

from libs.mail.verdict import Verdict
from libs.mailbox.model import Standing
from libs.runtime.errors import ExhaustedError, InvalidError, SealpostError
from libs.telemetry import metrics

_REASONS = ("ahead", "bytes", "errors", "failure", "foreign", "line", "room", "time", "unknown")
_OUTCOMES = ("accepted", "failed", "full", "no_room", "refused", "too_large")

_RESULTS = ("none", "neutral", "pass", "fail", "softfail", "policy", "temperror", "permerror")

SESSIONS = metrics.counter("sealpost_smtp_sessions_total", "Connections.", {"outcome": ("served", "refused")})
RECIPIENTS = metrics.counter(
    "sealpost_smtp_recipients_total", "Recipients asked for.", {"outcome": tuple(one.value for one in Standing)}
)
REFUSALS = metrics.counter("sealpost_smtp_refusals_total", "Sessions cut short, and failures.", {"reason": _REASONS})
MAILS = metrics.counter("sealpost_smtp_mails_total", "Mails whose data was read to its end.", {"outcome": _OUTCOMES})
BYTES = metrics.counter("sealpost_smtp_accepted_bytes_total", "Bytes of accepted mails.")
SECONDS = metrics.histogram("sealpost_smtp_receive_seconds", "From the end of the data to the reply, accepted mails.")
CHECKS = metrics.counter(
    "sealpost_smtp_checks_total",
    "Results of SPF, DKIM and DMARC.",
    {"check": ("spf", "dkim", "dmarc"), "result": _RESULTS},
)
CONNECTIONS = metrics.gauge("sealpost_smtp_connections", "Open connections.")
HELD = metrics.gauge("sealpost_smtp_admitted_bytes", "Room reserved for mails in memory.")


def checked(verdict: Verdict) -> None:
    """Count what was found about a sender."""
    for check, result in (("spf", verdict.spf), ("dkim", verdict.dkim), ("dmarc", verdict.dmarc)):
        CHECKS.inc(check=check, result=result)


def accepted(size: int, seconds: float) -> None:
    """Count a mail of `size` bytes that took `seconds` to store."""
    MAILS.inc(outcome="accepted")
    BYTES.inc(size)
    SECONDS.observe(seconds)


def outcome_of(error: SealpostError) -> str:
    """Return the word for a mail that was not accepted."""
    if isinstance(error, InvalidError):
        return "refused"
    if isinstance(error, ExhaustedError):
        return "full" if error.reason.startswith("quota") else "no_room"
    return "failed"
