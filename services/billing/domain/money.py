"""Amounts as people read them."""

from __future__ import annotations


def said(amount: int, digits: int, currency: str = "") -> str:
    """Return an amount in minor units as text, say "1 234.50 EUR"; `digits`: minor digits of the currency."""
    whole, part = divmod(abs(amount), 10**digits)
    # A narrow space that no line breaks at: a comma or a point would mean something else somewhere.
    text = f"{whole:,}".replace(",", "\u202f") + (f".{part:0{digits}d}" if digits else "")
    sign = "\u2212" if amount < 0 else ""
    return f"{sign}{text} {currency}".rstrip()
