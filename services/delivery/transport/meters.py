"""What is counted: outcomes in closed vocabularies, never who or where."""

from __future__ import annotations

from libs.telemetry import metrics

TLS = metrics.counter(
    "sealpost_delivery_tls_total",
    "Connections to mail servers by what TLS has proven; failed ones may have been followed by one in clear.",
    {"result": ("none", "opportunistic", "verified", "mta_sts", "dane", "failed")},
)
CONNECTS = metrics.counter(
    "sealpost_delivery_connects_total", "Attempts to open a connection.", {"outcome": ("opened", "refused", "failed")}
)
OUTCOMES = metrics.counter(
    "sealpost_delivery_attempts_total",
    "Outcomes of attempts, for each recipient.",
    {"outcome": ("delivered", "temporary", "permanent")},
)
POLICIES = metrics.counter(
    "sealpost_delivery_sts_policies_total",
    "Fetches of MTA-STS policies.",
    {"outcome": ("fetched", "failed", "invalid", "not_loaded", "not_saved")},
)
SECONDS = metrics.histogram("sealpost_delivery_attempt_seconds", "How long an attempt took, whatever came of it.")
CONNECTIONS = metrics.gauge("sealpost_delivery_connections", "Connections to mail servers in use.")
IDLE = metrics.gauge("sealpost_delivery_idle_connections", "Connections to mail servers kept for the next mail.")
REUSED = metrics.counter("sealpost_delivery_reused_total", "Mails over a connection that had carried another.")
