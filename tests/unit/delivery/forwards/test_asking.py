"""The question to an address: what it says, that it is signed as ours, and how often it can be brought about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.runtime.errors import ExhaustedError, InvalidError
from libs.runtime.ids import new_id
from tests.unit.delivery.forwards.node import TARGET, ForwardNode, forwarding
from tests.unit.delivery.world import ACCOUNT, World

TOKEN = "A" * 43
ADA = "ada@sealpost.test"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ForwardNode]:
    async with forwarding(tmp_path, World()) as made:
        yield made


async def test_it_brings_the_link_and_nothing_comes_back(node: ForwardNode) -> None:
    await node.parts.asking.ask(ACCOUNT, ADA, TARGET, TOKEN)
    (sent,) = await node.later(0)
    assert (sent.recipients, sent.return_path) == ((TARGET,), "")
    assert node.world.signer.domains == ["sealpost.test"]
    text = sent.content.decode("ascii")
    for words in (f"http://127.0.0.1:8080/f/{TOKEN}\r\n", ADA, f"To: <{TARGET}>", "Auto-Submitted: auto-generated"):
        assert words in text
    assert max(map(len, text.split("\r\n"))) < 100


async def test_a_member_is_asked_inside(node: ForwardNode) -> None:
    node.world.mailboxes.add("bob@sealpost.test", "b" * 32)
    await node.parts.asking.ask(ACCOUNT, ADA, "bob@sealpost.test", TOKEN)
    assert await node.later(0) == []
    assert TOKEN.encode() in node.world.mailboxes.bodies()[0]


async def test_three_a_day_to_one_address(node: ForwardNode) -> None:
    for _ in range(3):
        await node.parts.asking.ask(new_id(), ADA, TARGET, TOKEN)
    with pytest.raises(ExhaustedError) as caught:
        await node.parts.asking.ask(new_id(), ADA, TARGET.upper(), TOKEN)
    assert 0 < (caught.value.retry_after or 0) <= 86400
    node.world.clock.advance(days=1)
    await node.parts.asking.ask(new_id(), ADA, TARGET, TOKEN)


async def test_ten_a_day_for_one_account(node: ForwardNode) -> None:
    for number in range(10):
        await node.parts.asking.ask(ACCOUNT, ADA, f"x{number}@mail.example", TOKEN)
    with pytest.raises(ExhaustedError):
        await node.parts.asking.ask(ACCOUNT, ADA, "x@mail.example", TOKEN)


@pytest.mark.parametrize(
    ("account", "address", "token"),
    [
        (ACCOUNT, "x@bounces.sealpost.test", TOKEN),
        (ACCOUNT, "x@mx.sealpost.test", TOKEN),
        (ACCOUNT, "no address", TOKEN),
        (ACCOUNT, "a@b.example\r\nBcc: c@d.example", TOKEN),
        (ACCOUNT, TARGET, "short"),
        (ACCOUNT, TARGET, TOKEN + "\r\n"),
        ("nobody", TARGET, TOKEN),
    ],
)
async def test_what_is_not_asked(node: ForwardNode, account: str, address: str, token: str) -> None:
    with pytest.raises(InvalidError):
        await node.parts.asking.ask(account, ADA, address, token)
    assert await node.later(0) == []
