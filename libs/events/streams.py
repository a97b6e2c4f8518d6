"""The JetStream streams: what is kept, for how long, and how large it may grow.

A stream is a buffer, not a record: whatever it loses is still pending in a document, or was announced to everybody who
was there to hear, or is held by those who would publish it again. So old messages give way to new ones rather than
stopping the publishers. Facts, the salts of their units and what units have used are in memory, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

_MIB = 1024 * 1024
_HOUR = 3600
_LARGE = 208 * 1024


@dataclass(frozen=True)
class Stream:
    """A stream definition; times in seconds, sizes in bytes."""

    name: str
    subject: str
    max_age: int
    max_bytes: int
    duplicate_window: int
    max_message: int = 64 * 1024
    in_memory: bool = False
    create_only: bool = False
    """One message for each subject, which nothing replaces; it may say itself how long it lives."""

    @property
    def prefix(self) -> str:
        """What every subject of the stream begins with."""
        return self.subject.rstrip(">*")

    def config(self, replicas: int) -> StreamConfig:
        """Return the definition as JetStream wants it."""
        return StreamConfig(
            name=self.name,
            subjects=[self.subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.MEMORY if self.in_memory else StorageType.FILE,
            discard=DiscardPolicy.NEW if self.create_only else DiscardPolicy.OLD,
            discard_new_per_subject=self.create_only,
            max_msgs_per_subject=1 if self.create_only else -1,
            allow_msg_ttl=True if self.create_only else None,
            max_age=float(self.max_age),
            max_bytes=self.max_bytes,
            max_msg_size=self.max_message,
            duplicate_window=float(self.duplicate_window),
            num_replicas=replicas,
            deny_delete=True,
            allow_direct=True if self.create_only else None,
        )


MAIL = Stream(
    name="MAIL",
    subject="mail.>",
    max_age=3 * 24 * _HOUR,
    max_bytes=1024 * _MIB,
    duplicate_window=10 * 60,
)

# Only wakes others: what is due is found in documents.
DELIVERY = Stream(
    name="DELIVERY",
    subject="delivery.>",
    max_age=_HOUR,
    max_bytes=64 * _MIB,
    duplicate_window=10 * 60,
)

# role.changed.v1: each becomes an entry of the evidence ledger, however long retention was away, within reason.
ROLE = Stream(
    name="ROLE",
    subject="role.>",
    max_age=14 * 24 * _HOUR,
    max_bytes=16 * _MIB,
    duplicate_window=10 * 60,
)

# facts.<partition>: what an emitter has not been told to be counted it publishes again, so what is lost here is not.
FACTS = Stream(
    name="FACTS",
    subject="facts.*",
    max_age=15 * 60,
    max_bytes=192 * _MIB,
    duplicate_window=1,
    max_message=_LARGE,
    in_memory=True,
)

# salts.<yyyymmdd>: the first salt of a day is the salt of that day.
SALTS = Stream(
    name="SALTS",
    subject="salts.*",
    max_age=26 * _HOUR,
    max_bytes=_MIB,
    duplicate_window=1,
    max_message=1024,
    in_memory=True,
    create_only=True,
)

# units.<partition>: for whoever takes a partition of the statistics over.
UNITS = Stream(
    name="UNITS",
    subject="units.*",
    max_age=26 * _HOUR,
    max_bytes=256 * _MIB,
    duplicate_window=1,
    max_message=_LARGE,
    in_memory=True,
)

STREAMS = (MAIL, DELIVERY, ROLE, FACTS, SALTS, UNITS)

MEMORY_BYTES = 896 * _MIB
FILE_BYTES = 2560 * _MIB
"""What the server may use for streams in memory, in files: it reserves what each may grow to, twice where one is made
again. With less, a service that describes its stream anew after a restart is refused, and publishes nothing."""


def stream_of(subject: str) -> Stream:
    """Return the stream that keeps `subject`; ValueError if none does."""
    for stream in STREAMS:
        if subject.startswith(stream.prefix):
            return stream
    raise ValueError("no stream keeps this subject")
