"""How much of a long piece of work is done in one transaction, and how long it rests between two.

Where nobody else writes, a piece is as long as a slow commit, and there is no rest: the work is done soonest. Where
others do, a piece is so short that whoever comes in the middle of it does not notice, and the rest is several times as
long, or more where others have waited long for their turn. How many items fit is learnt from how long the last ones
took.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.group_commit import Waits

_ALONE_SECONDS, _BESIDE_SECONDS = 0.04, 0.001
_UNNOTICED_SECONDS = 0.003
_REST_PIECES, _REST = 4.0, 10.0
_LONGEST_REST = 0.1


@dataclass
class Pacing:
    """Pieces of one kind of work. `size`: items of the next piece, between `least` and `most`."""

    waits: Waits
    size: int
    least: int
    most: int

    def took(self, count: int, seconds: float) -> float:
        """Note that a piece of `count` items took so long; return how many seconds to rest."""
        alone = not self.waits.are_recent()
        aim = _ALONE_SECONDS if alone else _BESIDE_SECONDS
        if count:
            fits = int(count * aim / max(seconds, 1e-6))
            # No more than twice as many at once: the next may be heavier.
            self.size = max(self.least, min(self.most, fits, self.size * 2))
        if alone:
            return 0.0
        waited = max(0.0, self.waits.mean - _UNNOTICED_SECONDS)
        return min(_LONGEST_REST, max(_REST_PIECES * seconds, _REST * waited))
