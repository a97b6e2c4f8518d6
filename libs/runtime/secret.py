"""Secrets hide by type: a value that must not be printed cannot be, whoever forgets."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Secret(Generic[T]):
    """Holds a value that neither `str`, `repr` nor formatting shows; `reveal()` is easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        """Hold `value`."""
        self._value = value

    def reveal(self) -> T:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        """Return three stars."""
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return three stars, whatever the format."""
        return "***"

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled."""
        raise TypeError("a secret is not pickled")
