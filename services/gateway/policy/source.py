"""Documents and evidence, asked of retention and kept for some seconds: pages must not cost a call each.

A version's document never changes, so it is kept; which one is in force, and the evidence, are asked again after a few
seconds. While retention does not answer, what was known last is shown, and said to be old by its times.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from libs.runtime.clock import Clock
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from protos.retention.v1 import retention_pb2 as pb
from services.gateway.peers import Peers
from services.gateway.policy import view

_KEPT_SECONDS = 10.0
_MOST_VERSIONS = 32
_log = get_logger("policy")


@dataclass(frozen=True)
class Version:
    """A version with its document. Times in Unix seconds."""

    number: int
    state: str
    activated_at: int
    document: dict[str, Any]


class Policies:
    """What retention has said of the policy."""

    def __init__(self, peers: Peers, clock: Clock) -> None:
        """Ask `peers`."""
        self._peers = peers
        self._clock = clock
        self._versions: OrderedDict[int, Version] = OrderedDict()
        self._current: Version | None = None
        self._current_until = 0.0
        self._evidence = view.Evidence(reachable=False)
        self._evidence_until = 0.0
        self._asking = asyncio.Lock()

    async def version(self, number: int = 0) -> Version:
        """Return a version, 0 for the one in force.

        Raises: NotFoundError("policy_version"), UnavailableError where it is not known yet and cannot be asked.
        """
        if number:
            return await self._numbered(number)
        if self._current is None or self._clock.monotonic() >= self._current_until:
            async with self._asking:
                await self._renew()
        if self._current is None:
            return await self._asked(0)
        return self._current

    async def evidence(self) -> view.Evidence:
        """Return the evidence of the last seconds; older, and not `reachable`, where retention does not answer."""
        if self._clock.monotonic() >= self._evidence_until:
            async with self._asking:
                if self._clock.monotonic() >= self._evidence_until:
                    self._evidence = await self._ask_evidence()
                    self._evidence_until = self._clock.monotonic() + _KEPT_SECONDS
        return self._evidence

    async def _numbered(self, number: int) -> Version:
        known = self._versions.get(number)
        # Its state changes, its document does not: only a version that is out of force is final.
        if known is not None and known.state in ("replaced", "withdrawn"):
            return known
        found = await self._asked(number)
        self._versions[number] = found
        if len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        return found

    async def _renew(self) -> None:
        if self._current is not None and self._clock.monotonic() < self._current_until:
            return
        try:
            self._current = await self._asked(0)
        except SealpostError as error:
            if self._current is None:
                raise
            _log.warning("policy_not_renewed", reason=error.reason)
        self._current_until = self._clock.monotonic() + _KEPT_SECONDS

    async def _asked(self, number: int) -> Version:
        wanted = pb.GetVersionRequest(version=number)
        found = await self._peers.retention.GetVersion(wanted, timeout=self._peers.timeout)
        return Version(found.version, found.state, found.activated_at, json.loads(found.document))

    async def _ask_evidence(self) -> view.Evidence:
        try:
            found = await self._peers.retention.GetEvidence(pb.GetEvidenceRequest(), timeout=self._peers.timeout)
        except SealpostError as error:
            _log.warning("evidence_not_renewed", reason=error.reason)
            known = self._evidence
            return view.Evidence(known.clauses, known.classes, known.canaries, known.clock_held, False, known.day)
        return view.Evidence(
            {one.clause: view.Found(one.result, one.at, one.detail) for one in found.clauses},
            {
                one.data_class: view.Held(one.count, one.at_least, one.first_due, one.at, one.overdue)
                for one in found.classes
            },
            tuple(view.Canary(one.data_class, one.state) for one in found.canaries),
            found.clock_held,
            True,
            found.root.day,
        )
