"""Probes that read records, on a ledger of their own; and what a mail is sealed to."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pysequoia
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from libs.docstore.sqlite import SqliteStore
from libs.policy import load_policy
from libs.policy.document import document
from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.common.v1 import common_pb2
from services.gateway import http
from services.retention.graph import CORE_COLLECTIONS
from services.retention.ledger.ledger import Ledger
from services.retention.probes import of_pages
from services.retention.probes.of_mail import sealed_to
from services.retention.probes.of_records import nothing_overdue, owners_are_told
from services.retention.probes.world import Answer, Broken, UnknowableError, World
from tests.unit.retention.fakes import DAY, Rules, TwoHands

_POLICY = load_policy()


class _Pages:
    """The policy as it is published: version 2 lets sessions last longer."""

    published = True

    async def ask(self, method: str, path: str, **given: Any) -> Answer:
        version = int(path.rpartition("=")[2])
        said = document(_POLICY, version, {"session_idle_seconds": 1800 * version})
        body = {"document": said} if self.published else {}
        return Answer(200 if self.published else 503, (), json.dumps(body).encode())


class _Accounts:
    """Knows who was told: nobody, until somebody is."""

    def __init__(self) -> None:
        self.asked: list[pb.GetNoticeStateRequest] = []
        self.told = False

    async def GetNoticeState(self, request: pb.GetNoticeStateRequest, timeout: float) -> pb.NoticeState:
        self.asked.append(request)
        if request.version != 2:
            raise NotFoundError("policy_version")
        return pb.NoticeState(complete=self.told)


class _Scene:
    def __init__(self, store: SqliteStore) -> None:
        self.clock, self.pages, self.accounts = TwoHands(), _Pages(), _Accounts()
        self.ledger = Ledger(store, self.clock)

    async def note(self, kind: str, data: Mapping[str, str | int]) -> None:
        await self.ledger.append(kind, data)

    async def canary(self, data_class: str, state: str, **day: str) -> None:
        await self.note("canary", {"class": data_class, "state": state, **day})

    @property
    def world(self) -> World:
        rules = Rules({"sweep_seconds": 60, "canary_seconds": 60 * DAY})
        parts: Mapping[str, Any] = {
            "web": self.pages, "accounts": self.accounts, "owners": {}, "numbers": rules, "ledger": self.ledger,
            "policy": _POLICY, "now": self.clock.unix, "timeout": 1.0,
        }  # fmt: skip
        return cast(World, SimpleNamespace(**parts))


@pytest.fixture
async def scene(tmp_path: Path) -> Any:
    async with SqliteStore.open(tmp_path / "retention.db", CORE_COLLECTIONS) as store:
        yield _Scene(store)


async def test_a_canary_that_is_still_there_breaks_the_clause_until_it_is_gone(scene: _Scene) -> None:
    await scene.canary("public_mail", "failed")
    await nothing_overdue(scene.world)
    await scene.canary("session", "gone", day="2026-11-20")
    await scene.canary("public_mail", "missed", day="2026-11-20")
    with pytest.raises(Broken, match="canary_missed"):
        await nothing_overdue(scene.world)
    await scene.canary("public_mail", "gone", day="2026-11-20")
    await nothing_overdue(scene.world)


async def test_a_version_of_which_nobody_was_told_breaks_the_clause_after_a_day(scene: _Scene) -> None:
    announced: dict[str, str | int] = {"version": 2, "replaces": 1, "document": "0" * 64, "material": 1}
    await scene.note("version_announced", announced)
    scene.clock.advance(DAY - 1)
    await owners_are_told(scene.world)
    assert scene.accounts.asked == []
    scene.clock.advance(2)
    with pytest.raises(Broken, match="not_told"):
        await owners_are_told(scene.world)
    # Not those to whom accounts knows it to be announced: that may be nobody.
    assert common_pb2.PROFILE_SEALED in scene.accounts.asked[0].profiles
    scene.accounts.told = True
    await owners_are_told(scene.world)
    scene.accounts.told, scene.pages.published = False, False
    with pytest.raises(UnknowableError, match="policy_not_served"):
        await owners_are_told(scene.world)
    await scene.note("version_withdrawn", announced)
    await owners_are_told(scene.world)


def test_keys_that_open_a_mail_are_counted() -> None:
    one, two = (pysequoia.Tsk.generate(name).extract_certificate() for name in ("one", "two"))
    for recipients in ([one], [one, two]):
        message = pysequoia.encrypt(b"words", recipients=recipients, armor=False)
        assert sealed_to(message) == len(recipients)
    assert [sealed_to(one) for one in (b"", b"\xc1", b"words", b"\xc1\xff\x00\x00")] == [0, 0, 0, 0]


def test_the_probe_of_roles_knows_what_is_for_staff() -> None:
    """Not with an id in their path: they answer alike to everybody who knows none.

    Nor what confirms a clock that is held, for it would; nor what lets an account send again, which reads its form
    before it asks who calls, and with a right one answers as if there were nothing.
    """
    modules = [importlib.import_module(one.name) for one in pkgutil.walk_packages(http.__path__, f"{http.__name__}.")]
    routers = {id(one): one for module in modules for one in vars(module).values() if isinstance(one, APIRouter)}
    paths = [
        (method, route.path)
        for router in routers.values()
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith(("/v1/operator", "/v1/disclosure"))
        for method in route.methods or ()
    ]
    plain = {one for one in paths if "{" not in one[1]}
    assert plain - {("POST", "/v1/operator/retention/clock"), ("POST", "/v1/operator/resume")} == {
        *(("GET", path) for path in of_pages.STAFF),
        *(("POST", path) for path in of_pages.STAFF_DOES),
    }
