"""Sessions: who holds a token is signed in, until he signs out, stops using it, or a day has passed.

A token is 256 random bits, drawn anew at each sign-in (so a token planted beforehand never becomes a session). Only its
SHA-256 hash is kept, as the key of the session: the hash needs no secret, because 2^256 tokens cannot be tried.

The idle limit needs the time of last use, and the time of each use would be a record of somebody's day. So what is kept
is the moment the session ends if it is not used again, rounded down to a grain of five minutes, and it is written only
when it changes: at most one small write per session and five minutes, and no finer trace than that, gone half an hour
later. It must be in the store and not in memory, because the next request may reach another replica. Rounding down
makes every session end a little early and never late: "30 minutes" means 25 to 30.

Ending all sessions of an account is one write: each session carries the epoch of its account, and one from an older
epoch is nobody's. The documents are removed afterwards; a crash between the two leaves nothing that still works.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from libs.runtime.errors import UnauthenticatedError
from libs.runtime.ids import new_id
from services.accounts.domain.model import Session

HOUR = 3600
# The oldest one ends when somebody signs in for the 51st time.
MAX_SESSIONS = 50

_GRAIN = 300
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True)
class SessionRules:
    """How long a session lasts, in seconds."""

    idle: int
    absolute: int

    def start(self, account_id: str, epoch: int, now: int) -> tuple[str, Session]:
        """Return a new token and its session."""
        token = secrets.token_urlsafe(32)
        expires_at = _coarse(now + self.absolute, self.absolute, HOUR)
        hour = now - now % HOUR
        idle_end = min(_coarse(now + self.idle, self.idle, _GRAIN), expires_at)
        return token, Session(
            key=token_key(token),
            session_id=new_id(),
            account_id=account_id,
            epoch=epoch,
            created_hour=hour,
            last_used_hour=hour,
            idle_end=idle_end,
            expires_at=expires_at,
        )

    def used(self, session: Session, now: int) -> tuple[int, int] | None:
        """Return the new (idle_end, last_used_hour) of a session that is used now, None if neither changes."""
        fresh = (min(_coarse(now + self.idle, self.idle, _GRAIN), session.expires_at), now - now % HOUR)
        # The clock of another replica may be ahead; a session is never shortened by being used.
        if fresh[0] <= session.idle_end and fresh[1] <= session.last_used_hour:
            return None
        return max(fresh[0], session.idle_end), max(fresh[1], session.last_used_hour)


def is_over(session: Session, now: int) -> bool:
    """Tell whether either limit has passed."""
    return now >= min(session.idle_end, session.expires_at)


def token_key(token: str) -> str:
    """Return the key under which the session of this token is kept.

    Raises: UnauthenticatedError("session_invalid") if it cannot be a token.
    """
    if not _TOKEN.match(token):
        raise UnauthenticatedError("session_invalid")
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _coarse(moment: int, limit: int, grain: int) -> int:
    # Limits of a few seconds, as tests set them, must not round to nothing.
    step = max(1, min(grain, limit // 6))
    return moment - moment % step
