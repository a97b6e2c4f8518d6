"""Posts one event to one webhook, through the guard that keeps strangers' URLs out of our own network."""

from __future__ import annotations

from collections.abc import Sequence

from libs.net.http import read_url
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, UnavailableError
from libs.telemetry import metrics
from services.delivery.customers.events import Event
from services.delivery.customers.ports import Http
from services.delivery.customers.webhook_records import Hook
from services.delivery.domain.webhooks import Answer, Post, answer_of, body_of, headers_of

_SECONDS = 10.0
_MAX_ANSWER = 64 * 1024

_POSTED = metrics.counter(
    "sealpost_delivery_webhook_posts_total",
    "Posts to webhooks by what they came to.",
    {"outcome": tuple(answer.value for answer in Answer)},
)


class Poster:
    """Signs and posts."""

    def __init__(self, http: Http, ports: Sequence[int], clock: Clock) -> None:
        """Post with `http`, to `ports` only."""
        self._http = http
        self._ports = tuple(ports)
        self._clock = clock

    def check(self, url: str) -> None:
        """Refuse what can never be posted to; whether the host may be connected to is seen at each attempt.

        Raises: InvalidError("url_invalid" | "url_refused").
        """
        read_url(url, self._ports)

    async def post(self, hook: Hook, event: Event) -> Answer:
        """Post an event; whatever goes wrong is a failure. Takes ten seconds at most."""
        post = Post(event.kind, event.at, event.submission_id, event.campaign, event.recipient, event.status)
        body = body_of(post)
        headers = headers_of(event.event_id, hook.secret, unix_seconds(self._clock), body)
        try:
            fetched = await self._http.fetch(
                "POST", hook.url, headers=headers, content=body, max_bytes=_MAX_ANSWER, seconds=_SECONDS
            )
            answer = answer_of(fetched.status)
        except (InvalidError, UnavailableError):
            answer = Answer.FAILED
        _POSTED.inc(outcome=answer.value)
        return answer
