"""Webhooks as Standard Webhooks has them: what is posted, how it is signed, when it is tried again, when it is over.

A post has an id that stays the same however often it is tried, so that a receiver can tell a repetition. Its signature
covers id, time of the attempt and body: neither can be taken from one post and put to another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from services.delivery.domain.ports import Kind

MOST_PER_ACCOUNT = 10
# Of nothing but failures, after which a webhook is switched off.
PATIENCE_SECONDS = 5 * 86400

_SECRET_BYTES = 32
_SHOWN_AS = "whsec_"
_MINUTE, _HOUR = 60, 3600
# After the first attempt, the second, ...
_RETRIES = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
# A webhook that fails is asked whether it works again after a tenth of the time that it has failed for.
_SHORTEST_PAUSE, _LONGEST_PAUSE = _MINUTE, _HOUR
_GONE = 410


class HookState(Enum):
    """How a webhook stands."""

    OK = "ok"
    FAILING = "failing"
    OFF = "off"


class Answer(Enum):
    """What an attempt came to."""

    TAKEN = "taken"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Post:
    """What is told. `at` in Unix seconds."""

    kind: Kind
    at: int
    submission_id: str
    campaign: str
    recipient: str
    status: str


def new_secret() -> Secret[bytes]:
    """Return a new key to sign with."""
    return Secret(secrets.token_bytes(_SECRET_BYTES))


def shown_secret(secret: Secret[bytes]) -> str:
    """Return a key as its owner is shown it, once."""
    return _SHOWN_AS + base64.b64encode(secret.reveal()).decode()


def check_types(types: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of events that a webhook wants, each once; none are all. Raises: InvalidError("event_types")."""
    known = {kind.value for kind in Kind}
    if not set(types) <= known:
        raise InvalidError("event_types")
    return tuple(sorted(set(types)))


def body_of(post: Post) -> bytes:
    """Return the body: type, timestamp of the event (RFC 3339, UTC), data."""
    content = {
        "type": post.kind.value,
        "timestamp": datetime.fromtimestamp(post.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            "submission_id": post.submission_id,
            "recipient": post.recipient,
            "campaign": post.campaign,
            "status": post.status,
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def headers_of(post_id: str, secret: Secret[bytes], now: int, body: bytes) -> Mapping[str, str]:
    """Return the headers that prove that `body` is from here; `now` in Unix seconds."""
    signed = b"%s.%d.%s" % (post_id.encode(), now, body)
    signature = base64.b64encode(hmac.new(secret.reveal(), signed, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": post_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{signature}",
    }


def answer_of(status: int) -> Answer:
    """Return what an HTTP status means; a redirect is a failure, for it would lead past the check of the host."""
    if 200 <= status < 300:
        return Answer.TAKEN
    return Answer.GONE if status == _GONE else Answer.FAILED


def retry_after(attempts: int) -> int | None:
    """Return the seconds to wait after so many failed attempts, within 10 per cent; None where it is given up."""
    if attempts > len(_RETRIES):
        return None
    return max(1, round(_RETRIES[attempts - 1] * random.uniform(0.9, 1.1)))


def pause_of(failing_seconds: int) -> int:
    """Return for how long a webhook is left alone that has failed for so long."""
    return min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, failing_seconds // 10))
