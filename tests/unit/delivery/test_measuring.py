"""Opens and clicks in delivery: links that tell of nobody, and who is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import open_secrets
from libs.runtime.errors import InvalidError, NotFoundError
from libs.runtime.secret import Secret
from libs.telemetry.facts import Facts, Salt
from services.delivery.customers.marks import Marks
from services.delivery.domain.model import Profile, QueuedMail, Recipient
from services.delivery.measuring.campaigns import MEASURED, UNCOUNTED, MeasuredCampaigns
from services.delivery.measuring.links import Link, MeasuringLinks
from services.delivery.measuring.measure import Measure
from tests.support.clock import ManualClock
from tests.unit.delivery.keeping import TERMS, swept
from tests.unit.delivery.test_measuring_pages import PAGE, URL, html_of, part
from tests.unit.delivery.world import ACCOUNT, SENDER, World, a_store, order

RELAY = {"profile": Profile.RELAY, "campaign": "spring"}


class Desk:
    """A Measure on a store, with what is around it."""

    def __init__(self, store: SqliteStore, clock: ManualClock, *, salt: bool = True) -> None:
        world = World()
        secrets = open_secrets(Secret(world.kek), Secret(world.lookup))
        self.store, self.clock, self.facts = store, clock, Facts(clock)
        if salt:
            self.facts.set_salt(Salt(int(clock.now().timestamp()) // 86400, 1, Secret(bytes(32))))
        self.links = MeasuringLinks(secrets.vault, URL + "/", clock)
        self.campaigns = MeasuredCampaigns(store, Marks(secrets.hashes), clock, TERMS)
        self.measure = Measure(self.campaigns, self.links, self.facts)

    async def sent(self, content: bytes, *recipients: str, index: int = 0, **changes: object) -> bytes | None:
        """Return what one recipient gets, None where the mail is not measured."""
        made = order(*recipients, content=content, **(RELAY | changes))
        queued = QueuedMail("m" * 32, made, 0, [Recipient(one) for one in recipients])
        measured = await self.measure.prepare(queued, content)
        return None if measured is None else await measured.content(index)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with SqliteStore.open(tmp_path / "d.db", (MEASURED, UNCOUNTED)) as store:
        yield Desk(store, ManualClock())


def tokens(content: bytes, kind: str = "m") -> list[str]:
    return [one.split('"')[0].removesuffix(".gif") for one in html_of(content).split(f"{URL}/{kind}/")[1:]]


async def test_off_by_default_and_only_for_those_who_relay(desk: Desk) -> None:
    assert await desk.sent(part(PAGE), "ann@there.test") is None
    await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=True)
    assert await desk.sent(part(PAGE), "ann@there.test") is not None
    for changes in ({"profile": Profile.SEALED}, {"campaign": ""}, {"campaign": "autumn"}, {"account_id": "b" * 32}):
        assert await desk.sent(part(PAGE), "ann@there.test", **changes) is None
    await desk.campaigns.put(ACCOUNT, "spring", opens=False, clicks=False)
    assert await desk.sent(part(PAGE), "ann@there.test") is None


async def test_what_is_counted(desk: Desk) -> None:
    number = (await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=True)).number
    content = await desk.sent(part(PAGE), "Ann@There.test", "ben@there.test", index=1)
    assert content is not None
    unit = desk.facts.pseudonym("recipient", b"ben@there.test")
    click, dot = map(desk.links.read, tokens(content))
    assert click == Link("click", number, unit or 0, "https://shop.example/a?b=1&c=2")
    assert dot == Link("open", number, unit or 0)
    assert "This mail counts opens and clicks" in html_of(content) and 'alt=""' in html_of(content)
    token = tokens(content)[0]
    assert desk.measure.follow(token, count=False) == click and desk.facts.waiting == 0
    assert desk.measure.follow(token, count=True) == click and desk.facts.waiting == 1
    ((_, facts),) = next(iter(desk.facts.take().columns.values())).items()
    assert list(facts.keys) == [number] and list(facts.units) != [unit]


async def test_only_what_was_asked_for(desk: Desk) -> None:
    await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=False)
    content = await desk.sent(part(PAGE), "ann@there.test") or b""
    assert [desk.links.read(one).kind for one in tokens(content)] == ["open"]
    await desk.campaigns.put(ACCOUNT, "spring", opens=False, clicks=True)
    content = await desk.sent(part(PAGE), "ann@there.test") or b""
    assert [desk.links.read(one).kind for one in tokens(content)] == ["click"] and b"<img" not in content


async def test_who_does_not_want_to_be_counted_gets_the_mail_as_it_came(desk: Desk) -> None:
    await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=True)
    content = await desk.sent(part(PAGE), "ann@there.test") or b""
    await desk.measure.count_no_more(tokens(content, "o")[0])
    await desk.measure.count_no_more(tokens(content, "o")[0])
    assert await desk.sent(part(PAGE), "ANN@There.test") == part(PAGE)
    assert await desk.sent(part(PAGE), "ann@there.test", "ben@there.test", index=1) != part(PAGE)
    # Whoever sends.
    await desk.campaigns.put("b" * 32, "spring", opens=True, clicks=True)
    assert await desk.sent(part(PAGE), "ann@there.test", account_id="b" * 32) == part(PAGE)


async def test_without_a_salt_nothing_is_counted(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "d.db", (MEASURED, UNCOUNTED)) as store:
        desk = Desk(store, ManualClock(), salt=False)
        await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=True)
        assert await desk.sent(part(PAGE), "ann@there.test") == part(PAGE)


async def test_links_that_name_the_recipient_stay(desk: Desk) -> None:
    await desk.campaigns.put(ACCOUNT, "spring", opens=False, clicks=True)
    for target in (
        "https://s.example/?to=ann%40there.test",
        "https://s.example/ANN@there.test",
        f"{URL}/unsubscribe/1",
    ):
        content = await desk.sent(part(f'<a href="{target}">x</a>'), "ann@there.test") or b""
        assert tokens(content) == [] and target in html_of(content)


async def test_forged_old_and_foreign_links(desk: Desk, tmp_path: Path) -> None:
    made = desk.links.url(Link("click", 7, 9, "https://a.example/")).rpartition("/")[2]
    out = desk.links.out_url("ann@there.test").rpartition("/")[2]
    assert desk.links.read(made).target == "https://a.example/" and desk.links.read_out(out) == "ann@there.test"
    assert desk.links.url(Link("click", 7, 9, "https://a.example/")).rpartition("/")[2] != made
    changed = made[:70] + ("A" if made[70] != "A" else "B") + made[71:]
    for wrong in (
        "",
        "x",
        made[:-4],
        made + "AAAA",
        changed,
        out,
        "https://evil.example/" + "a" * 60,
        "é" * 80,
        "A" * 4001,
    ):
        with pytest.raises(NotFoundError, match="token_unknown"):
            desk.links.read(wrong)
    with pytest.raises(NotFoundError):
        desk.links.read_out(made)
    async with SqliteStore.open(tmp_path / "other.db", (MEASURED, UNCOUNTED)) as store:
        with pytest.raises(NotFoundError):
            Desk(store, desk.clock).links.read(made)
    desk.clock.advance(days=60)
    assert desk.links.read(made).campaign == 7
    desk.clock.advance(days=1)
    with pytest.raises(NotFoundError):
        desk.links.read(made)


async def test_campaigns(desk: Desk) -> None:
    first = await desk.campaigns.put(ACCOUNT, "spring", opens=True, clicks=False)
    again = await desk.campaigns.put(ACCOUNT, "spring", opens=False, clicks=True)
    assert again == replace(first, opens=False, clicks=True) and first.number > 0
    assert await desk.campaigns.get(ACCOUNT, "spring") == again
    assert (await desk.campaigns.put(ACCOUNT, "autumn", opens=True, clicks=False)).number != first.number
    assert await desk.campaigns.get(ACCOUNT, "") == await desk.campaigns.get("b" * 32, "spring")
    with pytest.raises(InvalidError, match="campaign_invalid"):
        await desk.campaigns.put(ACCOUNT, "A b", opens=True, clicks=True)
    assert not await desk.campaigns.counts("nonsense")
    desk.clock.advance(days=401)
    assert await swept(desk.store, desk.clock, MEASURED) == 2


async def test_on_the_way_out(tmp_path: Path) -> None:
    """List-Unsubscribe in front, then what this recipient gets, and the signature over all of it."""
    world = World()
    facts = world.facts = Facts(world.clock)
    facts.set_salt(Salt(world.now // 86400, 1, Secret(bytes(32))))
    content = part(PAGE).replace(b"a@shop.example", SENDER.encode())
    async with a_store(tmp_path) as store:
        node = world.node(store, public_url=URL)
        await node.graph.measure.campaigns.put(ACCOUNT, "spring", opens=True, clicks=True)
        await node.submit("ann@there.test", "ben@there.test", content=content, one_click_unsubscribe=True, **RELAY)
        await node.idle()
        for index, sent in enumerate(sorted(world.servers.sent, key=lambda one: one.recipients)):
            field = f"List-Unsubscribe: <https://example.org/u/{index}>\r\n".encode()
            head, _, rest = sent.content.partition(field)
            assert head == b"DKIM-Signature: v=1\r\n" and len(tokens(rest)) == 2 and b"https://shop" not in rest
        assert world.signer.domains == ["sealpost.test"] * 2
        # The next mail, after one of them has asked not to be counted.
        (out,) = tokens(world.servers.sent[0].content, "o")
        first = world.servers.sent.pop(0).recipients
        world.servers.sent.clear()
        await node.graph.measure.count_no_more(out)
        await node.submit("ann@there.test", "ben@there.test", content=content, **RELAY)
        await node.idle()
        counted = {one.recipients: f"{URL}/".encode() in one.content for one in world.servers.sent}
        assert counted.pop(first) is False and list(counted.values()) == [True]
