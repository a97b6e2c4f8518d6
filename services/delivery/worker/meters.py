"""What the worker counts: never who, only how many."""

from __future__ import annotations

from libs.telemetry import metrics
from services.delivery.domain.model import Result

OUTCOMES = metrics.counter(
    "sealpost_delivery_outcomes_total",
    "Attempts for one recipient, by where the mail goes and what came of it.",
    {"place": ("own", "elsewhere"), "result": tuple(result.value for result in Result)},
)
SETTLED = metrics.counter("sealpost_delivery_settled_total", "Mails that need nothing more.")
TAKEN = metrics.counter(
    "sealpost_delivery_submitted_total", "Mails submitted, by how they begin.", {"way": ("at_once", "queued", "later")}
)
PUT_OFF = metrics.counter("sealpost_delivery_put_off_total", "Times a mail was put off for a busy destination.")
LOST = metrics.counter(
    "sealpost_delivery_lost_total", "Mails that another process took over while they were held here."
)
UNREADABLE = metrics.counter("sealpost_delivery_unreadable_total", "Mails in the queue that cannot be opened any more.")
HELD = metrics.gauge("sealpost_delivery_held", "Mails in memory, under way or waiting for their turn.")
ACTIVE = metrics.gauge("sealpost_delivery_active", "Mails under way.")
