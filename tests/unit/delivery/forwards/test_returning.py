"""Reports about copies: one goes back to the sender, once; everything else ends here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Query
from services.delivery.queue.collections import MAILS
from services.delivery.reports.taking import Taken
from tests.unit.delivery.forwards.node import SENDER, TARGET, ForwardNode, forwarding
from tests.unit.delivery.world import World

REPORT = (
    b"From: MAILER-DAEMON@mail.example\r\nSubject: failed\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.mail.example\r\n\r\n"
    b"Final-Recipient: rfc822; copy@mail.example\r\nAction: ACTION\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
)
FAILED = REPORT.replace(b"ACTION", b"failed")
DELAYED = REPORT.replace(b"ACTION", b"delayed")
AWAY = b"From: x@mail.example\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n"
COMPLAINT = (
    b'From: fbl@mail.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n--b--\r\n"
)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ForwardNode]:
    async with forwarding(tmp_path, World()) as made:
        yield made


async def copy_of(node: ForwardNode, **changes: object) -> str:
    """Have a copy forwarded; return its return path."""
    await node.forward(**changes)
    return (await node.later())[-1].return_path


async def test_a_failure_goes_to_the_sender_from_nobody(node: ForwardNode) -> None:
    path = await copy_of(node)
    returning = node.parts.returning
    assert returning.is_one(path)
    assert await returning.refusal(path) == ""
    assert await returning.take(path, FAILED) is Taken.RETURNED
    sent = (await node.later(0))[-1]
    assert (sent.recipients, sent.return_path) == ((SENDER,), "")
    assert sent.content.startswith(b"Received: by mx.sealpost.test ")
    assert sent.content.endswith(FAILED)
    assert b"ARC-Seal" not in sent.content


async def test_a_copy_and_its_report_are_kept_by_the_terms_of_who_forwards(node: ForwardNode) -> None:
    path = await copy_of(node, terms=3)
    assert await node.parts.returning.take(path, FAILED) is Taken.RETURNED
    await node.later(0)
    queue = node.node.graph.repository
    mails = await node.node.store.find(Query(MAILS, "expires"))
    assert [(await queue.open(one)).mail.order.terms for one in mails] == [3, 3]


async def test_once_whatever_comes_and_however_often(node: ForwardNode) -> None:
    path = await copy_of(node)
    returning = node.parts.returning
    taken = await asyncio.gather(*(returning.take(path, FAILED + b"%d\r\n" % number) for number in range(5)))
    assert sorted(one.value for one in taken) == ["repeated"] * 4 + ["returned"]
    await node.later(0)
    assert [one.recipients for one in node.world.servers.sent] == [(TARGET,), (SENDER,)]
    assert await returning.refusal(path) == "return_path_used"


@pytest.mark.parametrize(
    ("content", "taken"),
    [(DELAYED, Taken.TEMPORARY), (AWAY, Taken.AUTOMATIC), (COMPLAINT, Taken.STRAY), (b"", Taken.NOISE)],
)
async def test_all_else_ends_here_and_uses_nothing_up(node: ForwardNode, content: bytes, taken: Taken) -> None:
    path = await copy_of(node)
    assert await node.parts.returning.take(path, content) is taken
    assert len(await node.later(0)) == 1
    assert await node.parts.returning.refusal(path) == ""


async def test_a_path_that_is_asked_for_without_end_is_closed_for_a_while(node: ForwardNode) -> None:
    path = await copy_of(node)
    answers = [await node.parts.returning.refusal(path) for _ in range(25)]
    assert answers == [""] * 20 + ["return_path_used"] * 5
    node.world.clock.advance(hours=2)
    assert await node.parts.returning.refusal(path) == ""


async def test_forged_and_expired_ones_are_told_apart_and_take_nothing(node: ForwardNode) -> None:
    path = await copy_of(node)
    returning = node.parts.returning
    forged = path.replace("=", "=x", 1)
    assert await returning.refusal(forged) == "return_path_forged"
    assert await returning.take(forged, FAILED) is Taken.UNKNOWN
    node.world.clock.advance(days=15)
    assert await returning.refusal(path) == "return_path_expired"
    assert await returning.take(path, FAILED) is Taken.UNKNOWN


async def test_the_report_of_a_report_does_not_exist(node: ForwardNode) -> None:
    await node.forward()
    path = (await node.later())[-1].return_path
    await node.parts.returning.take(path, FAILED)
    (_, back) = await node.later(0)
    assert back.return_path == ""
