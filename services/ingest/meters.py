"""What is counted: outcomes in closed vocabularies, never who or what."""

from __future__ import annotations

from dataclasses import dataclass

from libs.mail.verdict import Verdict
from libs.mailbox.model import Standing
from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, SealpostError
from libs.telemetry import metrics

_REASONS = ("account", "ahead", "bytes", "errors", "failure", "foreign", "line", "proofs", "room", "time", "unknown")
_OUTCOMES = ("accepted", "denied", "failed", "full", "no_room", "refused", "too_large")

_RESULTS = ("none", "neutral", "pass", "fail", "softfail", "policy", "temperror", "permerror")


@dataclass(frozen=True)
class Meter:
    """What is counted about the mails of one kind."""

    mails: metrics.Counter
    bytes: metrics.Counter
    seconds: metrics.Histogram

    def accepted(self, size: int, seconds: float) -> None:
        """Count a mail of `size` bytes that took `seconds` to hand over."""
        self.mails.inc(outcome="accepted")
        self.bytes.inc(size)
        self.seconds.observe(seconds)


RECEIVED = Meter(
    metrics.counter("sealpost_smtp_mails_total", "Mails whose data was read to its end.", {"outcome": _OUTCOMES}),
    metrics.counter("sealpost_smtp_accepted_bytes_total", "Bytes of accepted mails."),
    metrics.histogram("sealpost_smtp_receive_seconds", "From the end of the data to the reply, accepted mails."),
)
SUBMITTED = Meter(
    metrics.counter(
        "sealpost_submission_mails_total", "Mails submitted, data read to its end.", {"outcome": _OUTCOMES}
    ),
    metrics.counter("sealpost_submission_accepted_bytes_total", "Bytes of mails accepted for sending."),
    metrics.histogram("sealpost_submission_seconds", "From the end of the data to the reply, accepted mails."),
)
SIGN_INS = metrics.counter(
    "sealpost_submission_sign_ins_total",
    "AUTH commands, and passwords that were revoked while their connection was open.",
    {"outcome": ("signed_in", "wrong", "malformed", "cancelled", "limited", "failed", "revoked")},
)
HANDSHAKES = metrics.counter(
    "sealpost_submission_handshakes_total",
    "Connections over TLS from the start.",
    {"outcome": ("done", "failed", "refused")},
)
REPORTS = metrics.counter("sealpost_smtp_reports_total", "Mails to return paths, handed to delivery.")
FORWARDS = metrics.counter(
    "sealpost_smtp_forwards_total",
    "Mails for accounts that forward.",
    {"outcome": ("queued", "limited", "loop", "failed")},
)
SESSIONS = metrics.counter("sealpost_smtp_sessions_total", "Connections.", {"outcome": ("served", "refused")})
RECIPIENTS = metrics.counter(
    "sealpost_smtp_recipients_total", "Recipients asked for.", {"outcome": tuple(one.value for one in Standing)}
)
REFUSALS = metrics.counter("sealpost_smtp_refusals_total", "Sessions cut short, and failures.", {"reason": _REASONS})
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


def outcome_of(error: SealpostError) -> str:
    """Return the word for a mail that was not accepted."""
    if isinstance(error, InvalidError):
        return "refused"
    if isinstance(error, DeniedError):
        return "denied"
    if isinstance(error, ExhaustedError):
        return "full" if error.reason.startswith("quota") else "no_room"
    return "failed"
