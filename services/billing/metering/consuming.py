"""Takes what events say was used to the log, by batches; adds the log up, and reads what is added up and what is not.

The log knows what it has counted, so an event that comes again changes nothing, whoever delivers it and however often.
What says nothing that can be counted is left out, loudly: it must not keep the others from being counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.store import Event
from libs.runtime.errors import InvalidError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.billing.metering.decoding import use_of
from services.billing.metering.intake import Intake

CONSUMED = {"billing": "mail.stored.v1", "billing-delivered": "mail.delivered.v1"}
"""By the name of the durable consumer."""

_log = get_logger("metering")
_EVENTS = metrics.counter(
    "sealpost_billing_metered_events_total",
    "Events by what metering made of them.",
    {"outcome": ("counted", "known", "free", "unreadable")},
)


class Consuming:
    """The handler of batches."""

    def __init__(self, intake: Intake) -> None:
        """Count through `intake`."""
        self._intake = intake

    async def take(self, events: Sequence[Event]) -> None:
        """Count what a batch says, durably. Raises: UnavailableError: all of it may come again."""
        uses, free, unreadable = [], 0, 0
        for event in events:
            try:
                use = use_of(event)
            except InvalidError:
                unreadable += 1
                continue
            if use is None:
                free += 1
            else:
                uses.append(use)
        new = await self._intake.take(uses)
        _EVENTS.inc(new, outcome="counted")
        _EVENTS.inc(len(uses) - new, outcome="known")
        _EVENTS.inc(free, outcome="free")
        if unreadable:
            _EVENTS.inc(unreadable, outcome="unreadable")
            _log.error("events_unreadable", count=unreadable)
