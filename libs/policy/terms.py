"""The numbers in force: what a service reads instead of a setting.

Every version of the policy that was announced has its own numbers, and an account whose owner refused a newer one keeps
those of its version. So whoever applies a number says for which version, and 0 for the one in force. Before retention
has told any version, the numbers are those of the policy that the program was started with.

A version's numbers never change, and the version in force never goes back: what is told again or late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from libs.policy.model import Policy

MOST_VERSIONS = 200


@dataclass(frozen=True)
class Version:
    """The numbers of one version; `active`: it is in force for everybody who has not kept another."""

    version: int
    rules: Mapping[str, int]
    active: bool = False


class Terms:
    """Which number a rule has. One per process; reading costs two look-ups in dictionaries."""

    def __init__(self, policy: Policy) -> None:
        """Start with the numbers of `policy`."""
        self._own = MappingProxyType({name: rule.value for name, rule in policy.rules.items()})
        self._versions: dict[int, Mapping[str, int]] = {}
        self._active = 0

    @property
    def active(self) -> int:
        """Return the version in force; 0 before any has been told."""
        return self._active

    def rule(self, name: str, version: int = 0) -> int:
        """Return the number of rule `name` under `version`; 0 or an unknown version: the one in force.

        A rule that the version does not have yet is the policy's own. Raises KeyError for one that nobody has.
        """
        rules = self._versions.get(version) or self._versions.get(self._active) or self._own
        return rules[name] if name in rules else self._own[name]

    def put(self, versions: Iterable[Version]) -> None:
        """Take what retention tells. Repeatable, in any order."""
        for one in sorted(versions, key=lambda told: told.version):
            if one.version < 1:
                continue
            self._versions.setdefault(one.version, MappingProxyType(dict(one.rules)))
            if one.active:
                self._active = max(self._active, one.version)
        old = [version for version in sorted(self._versions) if version != self._active]
        for version in old[: max(0, len(self._versions) - MOST_VERSIONS)]:
            del self._versions[version]
