"""Versions of the policy on the wire."""

from __future__ import annotations

from libs.policy.changes import Change
from libs.runtime.errors import NotFoundError
from protos.retention.v1 import retention_pb2 as pb
from services.retention.domain.versions import PolicyVersion
from services.retention.domain.versions_book import Versions

_MOST_LISTED = 50


class VersionsRpc:
    """rpc.VersionCalls."""

    def __init__(self, versions: Versions) -> None:
        """Answer from `versions`."""
        self._versions = versions

    async def list_versions(self) -> pb.ListVersionsResponse:
        """See VersionCalls."""
        notice = await self._notice()
        found = await self._versions.newest(_MOST_LISTED)
        return pb.ListVersionsResponse(versions=[_encoded(one, notice) for one in found])

    async def get_version(self, version: int) -> pb.PolicyVersion:
        """See VersionCalls."""
        return await self._answer(await self._versions.get(version))

    async def announce(self, version: int, officer: str) -> pb.PolicyVersion:
        """See VersionCalls; who the officer is stands nowhere, that it was one stands in the ledger."""
        return await self._answer(await self._versions.announce(_named(version)))

    async def activate(self, version: int, officer: str) -> pb.PolicyVersion:
        """See VersionCalls."""
        return await self._answer(await self._versions.activate(_named(version)))

    async def withdraw(self, version: int, officer: str) -> pb.PolicyVersion:
        """See VersionCalls."""
        return await self._answer(await self._versions.withdraw(_named(version)))

    async def _answer(self, version: PolicyVersion) -> pb.PolicyVersion:
        answer = _encoded(version, await self._notice())
        answer.document = version.document
        return answer

    async def _notice(self) -> int:
        """Return how long notice is given; 0 before there is a version, when none can be announced."""
        try:
            return (await self._versions.periods()).notice
        except NotFoundError:
            return 0


def _named(version: int) -> int:
    if version < 1:
        raise NotFoundError("policy_version")
    return version


def _encoded(version: PolicyVersion, notice: int) -> pb.PolicyVersion:
    return pb.PolicyVersion(
        version=version.number,
        state=version.state.value,
        proposed_at=version.proposed_at,
        announced_at=version.announced_at,
        earliest=version.earliest(notice),
        activated_at=version.activated_at,
        material=version.material,
        changes=[_change(change) for change in version.changes],
        noticed=version.noticed,
        refused=version.refused,
        replaces=version.replaces,
    )


def _change(change: Change) -> pb.Change:
    return pb.Change(
        kind=change.kind,
        subject=change.subject,
        material=change.material,
        before=change.before,
        after=change.after,
        profiles=change.profiles,
    )
