"""How much to ask an owner for, and how long to leave it alone: by how long it took.

A batch that takes longer than an owner is quick for means that the owner, or its disk, is busy with something that
matters more. Then the next batch is half as large, and the pause before it four times what it took too long. Batches
grow back slowly, so that the size settles where the owner stays quick.
"""

from __future__ import annotations

from dataclasses import dataclass, field

QUICK_SECONDS = 0.25
_LONGEST_SECONDS = 20.0
_FACTOR = 4.0
_SMALLEST = 50


@dataclass
class Pace:
    """The pace of one owner. `most`: items of one batch at most."""

    most: int
    limit: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin with full batches."""
        self.limit = self.most

    def took(self, seconds: float) -> float:
        """Note how long a batch took; return the seconds to wait before the next."""
        if seconds > QUICK_SECONDS:
            self.limit = max(min(_SMALLEST, self.most), self.limit // 2)
            return min(_LONGEST_SECONDS, (seconds - QUICK_SECONDS) * _FACTOR)
        self.limit = min(self.most, self.limit + max(1, self.most // 8))
        return 0.0
