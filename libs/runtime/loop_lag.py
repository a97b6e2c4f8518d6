"""How late the event loop is: the one measure of saturation that every service shares.

A process whose loop is busy answers late whatever it does, and neither CPU (two threads may share it) nor memory shows
it. The loop is asked to come back after a pause; by how much it is late is observed. The sum of a second's lateness is
about the share of that second for which nobody else was served.
"""

from __future__ import annotations

import asyncio

from libs.telemetry import metrics

_PAUSE = 0.25
_LAG = metrics.histogram(
    "sealpost_loop_lag_seconds",
    "How much later than asked the event loop came back.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)


async def watch() -> None:
    """Observe until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _PAUSE
        await asyncio.sleep(_PAUSE)
        _LAG.observe(max(0.0, loop.time() - due))
