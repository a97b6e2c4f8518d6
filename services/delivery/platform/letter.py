"""What a letter is made of, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from libs.mail.text import clean

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the letter comes from: the domain whose postmaster answers, and the address of the pages."""

    domain: str
    url: str

    def link(self, path: str) -> str:
        """Return a link to a page of ours."""
        return f"{self.url.rstrip('/')}/{path}"


@dataclass(frozen=True, slots=True)
class Written:
    """Subject and paragraphs."""

    subject: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A kind of letter: the fields that it cannot do without, and how it is written."""

    needs: tuple[str, ...]
    write: Callable[[Fields, Place], Written]


def said(fields: Fields, name: str, limit: int = 200) -> str:
    """Return a field as one line of text."""
    return " ".join(clean(fields.get(name, ""), limit).split())


def hello(place: Place) -> str:
    """Return how a letter says who writes."""
    return f"This is the mail service of {place.domain}."
