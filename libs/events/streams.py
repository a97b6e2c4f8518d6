"""The JetStream streams: what is kept, for how long, and how large it may grow.

A stream is a buffer, not a record: whatever it loses is still pending in a document, or was announced to everybody who
was there to hear. So old messages give way to new ones rather than stopping the publishers.
"""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

_HOUR = 3600


@dataclass(frozen=True)
class Stream:
    """A stream definition; times in seconds, sizes in bytes."""

    name: str
    subject: str
    max_age: int
    max_bytes: int
    duplicate_window: int

    @property
    def prefix(self) -> str:
        """What every subject of the stream begins with."""
        return self.subject.removesuffix(">")

    def config(self, replicas: int) -> StreamConfig:
        """Return the definition as JetStream wants it."""
        return StreamConfig(
            name=self.name,
            subjects=[self.subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=float(self.max_age),
            max_bytes=self.max_bytes,
            max_msg_size=64 * 1024,
            duplicate_window=float(self.duplicate_window),
            num_replicas=replicas,
            deny_delete=True,
        )


MAIL = Stream(
    name="MAIL",
    subject="mail.>",
    max_age=3 * 24 * _HOUR,
    max_bytes=1024 * 1024 * 1024,
    duplicate_window=10 * 60,
)

# Only wakes others: what is due is found in documents.
DELIVERY = Stream(
    name="DELIVERY",
    subject="delivery.>",
    max_age=_HOUR,
    max_bytes=64 * 1024 * 1024,
    duplicate_window=10 * 60,
)

STREAMS = (MAIL, DELIVERY)


def stream_of(subject: str) -> Stream:
    """Return the stream that keeps `subject`; ValueError if none does."""
    for stream in STREAMS:
        if subject.startswith(stream.prefix):
            return stream
    raise ValueError("no stream keeps this subject")
