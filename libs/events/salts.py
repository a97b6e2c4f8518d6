"""The salt of each day, shared by all services through a stream in memory, made by whoever comes first.

The stream keeps one message for each day and refuses a second, so that of several makers one wins; the others read what
is there. A server that begins anew has lost it: whoever holds the salt of the day puts it back at once, and only who
holds none, and finds none after a while, makes a new one. Nobody writes a salt to a disk, and an hour after its day it
is forgotten here; analytics removes it from the stream.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import secrets

import nats.js.errors

from libs.events.link import BROKEN, Session
from libs.events.streams import SALTS
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from libs.telemetry.facts import DAY_SECONDS, Salt

_API_SECONDS = 3.0
_SALT_BYTES = 32
_HOLDERS_SECONDS = 2.0
_LOOK_SECONDS = 0.2
# Beyond its day, for clocks that are late, and for facts that were recorded around midnight.
_KEPT_SECONDS = 3600
# "maximum messages per subject exceeded": the day has its salt.
_TAKEN = 10077


def subject_of(day: int) -> str:
    """Return the subject of the salt of `day` (days since 1970)."""
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    return f"salts.{date:%Y%m%d}"


def make_salt(day: int, secret: bytes) -> Salt:
    """Return the salt of `day`, named by the beginning of its SHA-256."""
    number = int.from_bytes(hashlib.sha256(b"salt:" + secret).digest()[:8], "little")
    return Salt(day, number, Secret(secret))


class Salts:
    """The salts that this process holds."""

    def __init__(self, clock: Clock) -> None:
        """Hold none."""
        self._clock = clock
        self._held: dict[int, Salt] = {}

    @property
    def today(self) -> int:
        """Return the number of the present UTC day."""
        return unix_seconds(self._clock) // DAY_SECONDS

    @property
    def days(self) -> set[int]:
        """Return the days whose salts are held."""
        return set(self._held)

    def forget(self) -> list[int]:
        """Forget salts whose day ended an hour ago or earlier; return their days."""
        over = (unix_seconds(self._clock) - _KEPT_SECONDS) // DAY_SECONDS
        days = [day for day in self._held if day < over]
        for day in days:
            del self._held[day]
        return days

    async def agree(self, session: Session, day: int) -> Salt:
        """Return the salt of `day` as the stream has it, making or putting it back where it is missing.

        Raises: UnavailableError("events_unavailable").
        """
        try:
            found = await _read(session, day)
            held = self._held.get(day)
            if found is None and held is None:
                found = await self._wait_for_holders(session, day)
            if found is None:
                secret = held.secret.reveal() if held is not None else secrets.token_bytes(_SALT_BYTES)
                found = secret if await self._create(session, day, secret) else await _read(session, day)
        except BROKEN as error:
            raise UnavailableError("events_unavailable") from error
        if found is None:
            raise UnavailableError("events_unavailable")
        salt = make_salt(day, found)
        self._held[day] = salt
        return salt

    async def _create(self, session: Session, day: int, secret: bytes) -> bool:
        """Put a salt into the stream, for as long as it is needed there; tell whether there was none."""
        seconds = (day + 1) * DAY_SECONDS + _KEPT_SECONDS - unix_seconds(self._clock)
        broker = session.client.jetstream(timeout=_API_SECONDS)
        try:
            await broker.publish(subject_of(day), secret, msg_ttl=max(1, seconds))
        except nats.js.errors.APIError as error:
            if error.err_code == _TAKEN:
                return False
            raise
        return True

    async def _wait_for_holders(self, session: Session, day: int) -> bytes | None:
        for _ in range(int(_HOLDERS_SECONDS / _LOOK_SECONDS)):
            await asyncio.sleep(_LOOK_SECONDS)
            if (found := await _read(session, day)) is not None:
                return found
        return None


async def _read(session: Session, day: int) -> bytes | None:
    broker = session.client.jetstream(timeout=_API_SECONDS)
    try:
        message = await broker.get_last_msg(SALTS.name, subject_of(day), direct=True)
    except nats.js.errors.NotFoundError:
        return None
    return message.data if message.data is not None and len(message.data) == _SALT_BYTES else None
