"""E9, and a version of the policy that takes something away: without one there is no notice that could be missing.

Versions are made of the configuration that a process is started with; this one is made, and announced, when the word
`weaker` stands in the file beside the clauses, as if retention had been started anew with a longer session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as changed
from typing import Any

from libs.policy.document import document
from tests.support.altered import replace
from tests.support.clauses import Anything, Saboteur, is_off, switch

WEAKER = "weaker"
_RULE, _VALUE = "session_idle_seconds", 3600


def _in_force_at_once(service: str) -> None:
    """E9: who activates a version does not have to wait for anything."""
    from services.retention.domain.versions_book import Versions

    def without(kept: Anything) -> Anything:
        async def activated(self: Any, number: int) -> Any:
            written = await self._put((await self.get(number)).activated(self._tools.time.now()))
            await self._finish()
            return written

        return activated

    switch("E9", Versions, "activate", without)
    _weaker_when_asked()


class _Weaker:
    """services.retention.domain.versions.Running, with one number changed."""

    def __init__(self, running: Any) -> None:
        self._running = running

    @property
    def rules(self) -> Mapping[str, int]:
        return {**self._running.rules, _RULE: _VALUE}

    def document(self, version: int) -> Any:
        return document(self._running._policy, version, self.rules)


def _weaker_when_asked() -> None:
    from services.retention.domain.versions import State
    from services.retention.domain.versions_book import Versions

    step = Versions.step

    async def with_weaker(self: Versions, term: int) -> None:
        tools = self._tools
        if is_off(WEAKER) and not isinstance(tools.running, _Weaker):
            self._tools = changed(tools, running=_Weaker(tools.running))
            self._compared = (0, 0)
        await step(self, term)
        candidate = await self._candidate()
        if candidate is not None and candidate.state is State.PROPOSED:
            await self.announce(candidate.number)

    replace(Versions, "step", with_weaker)


SABOTEURS = (Saboteur("E9", ("retention",), _in_force_at_once),)
