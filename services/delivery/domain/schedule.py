"""When the next attempt is made.

Early attempts come close together, for greylisting lets the second one through after a minute or two and short outages
pass; later ones are far apart, for what has not answered for hours will not answer sooner for being asked. Jitter keeps
mails that failed together from coming back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MINUTE, _HOUR = 60, 3600
PAUSES = (1 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, 1 * _HOUR, 2 * _HOUR, 4 * _HOUR, 6 * _HOUR)
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times in seconds; `life`, until a mail is given up, and `notice_after` count from when it was to be sent.

    `life` is asked with the version of the policy that holds for the mail.

    `pauses` (at least one) stand between attempts; the last of them is used again and again.
    """

    life: Callable[[int], int]
    notice_after: int
    uniform: Callable[[float, float], float] = random.uniform
    pauses: Sequence[int] = PAUSES

    def max_age(self, terms: int) -> int:
        """After how many seconds a mail is given up, by this version of the policy; 0: the one in force."""
        return self.life(terms)

    def next_attempt(self, attempts: int, now: int, until: int) -> int:
        """Return when to try again after `attempts` (from 1) attempts, in Unix seconds; not after `until`.

        A last attempt is made when the time is over, rather than none between the last pause and the end.
        """
        pause = self.pauses[min(attempts, len(self.pauses)) - 1]
        if attempts == 1:
            # Greylisting commonly wants a whole minute.
            delay = self.uniform(pause, 2 * pause)
        else:
            delay = pause * self.uniform(1 - _JITTER, 1 + _JITTER)
        return max(now + 1, min(now + round(delay), until))
