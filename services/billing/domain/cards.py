"""Finds numbers of payment cards in what people write: where there is one, nothing is taken.

A card has 13 to 19 digits (ISO/IEC 7812-1), the last of which checks the others (the formula of Luhn in its annex B);
people part them by blanks or hyphens. One in ten of other numbers of that length passes the check too, and is refused
with them: fields that ask who pays have no use for such a number.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"[0-9](?:[ \u00a0.-]{0,2}[0-9]){12,}")
_SHORTEST, _LONGEST = 13, 19


def has_card_number(text: str) -> bool:
    """Tell whether `text` has what looks like the number of a card, also amid a longer row of digits."""
    for run in _RUN.findall(text):
        digits = [int(one) for one in run if one.isdigit()]
        lengths = (len(digits),) if len(digits) <= _LONGEST else range(_SHORTEST, _LONGEST + 1)
        for length in lengths:
            if any(_checks(digits[start : start + length]) for start in range(len(digits) - length + 1)):
                return True
    return False


def _checks(digits: list[int]) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0 and any(digits)
