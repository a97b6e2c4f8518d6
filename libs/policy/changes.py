"""One difference between two versions of the policy."""

from __future__ import annotations

from dataclasses import dataclass

from libs.policy.parts import PROFILES


@dataclass(frozen=True)
class Change:
    """What changed. Kinds: retention, purpose, metric, recipient, rule, clause, wording; wording is never material."""

    kind: str
    # A clause, rule, data class, metric, or a word of purposes, recipients, profiles, mail or disclosure.
    subject: str
    material: bool
    before: str
    after: str
    profiles: tuple[str, ...]


def every_profile() -> tuple[str, ...]:
    """Return all profiles, for what makes no difference between them."""
    return tuple(sorted(PROFILES))
