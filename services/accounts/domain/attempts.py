"""Brute force ends here: wrong proofs are counted for the account, and each wrong proof for itself.

An attempt is counted before it is checked and given back if it was right, so that guesses sent at the same moment are
counted too. One and the same wrong proof, as a mail program with an old password repeats it for ever, has a smaller
limit of its own: it is cut off before it uses up what the owner has left. Unknown addresses are counted like known
ones.

The counters are those of libs.runtime.limits: in memory, under a hash whose key lives one window, one set in each
replica (so the limits of an installation are these times the number of replicas). The edge limits by IP address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError, SealpostError, UnauthenticatedError
from libs.runtime.limits import KeyedLimiter

_CAPACITY = 100_000


@dataclass(frozen=True)
class AttemptRules:
    """Wrong proofs per window (seconds): for one account, and of one and the same proof."""

    per_account: int
    per_proof: int
    window: int


class Attempts:
    """Counts the attempts of one kind of proof."""

    def __init__(self, rules: AttemptRules, clock: Clock) -> None:
        """Count under these rules."""
        self._account = KeyedLimiter(rules.per_account, rules.window, _CAPACITY, clock)
        self._proof = KeyedLimiter(rules.per_proof, rules.window, _CAPACITY, clock)

    @contextmanager
    def attempt(self, account: str, proof: bytes) -> Iterator[None]:
        """Count one attempt on `account` (any name of it) around the check, which raises UnauthenticatedError if wrong.

        Whatever else goes wrong says nothing about the proof and is not counted; being cancelled is, for the caller
        chooses that.
        Raises: ExhaustedError("too_many_attempts") with the seconds to wait.
        """
        same = b"%b/%b" % (account.encode(), proof)
        _spend(self._proof, same)
        try:
            _spend(self._account, account)
        except ExhaustedError:
            self._proof.allow(same, -1)
            raise
        try:
            yield
        except UnauthenticatedError:
            raise
        except SealpostError:
            self._give_back(account, same)
            raise
        else:
            self._give_back(account, same)

    def _give_back(self, account: str, same: bytes) -> None:
        self._proof.allow(same, -1)
        self._account.allow(account, -1)


def _spend(limiter: KeyedLimiter, key: bytes | str) -> None:
    wait = limiter.allow(key)
    if wait > 0:
        raise ExhaustedError("too_many_attempts", retry_after=wait)
