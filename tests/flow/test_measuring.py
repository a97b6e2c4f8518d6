"""Opens and clicks through the whole platform, and a search for who it was in everything that the platform keeps."""

from __future__ import annotations

import email
import email.policy
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dkim
import httpx
import pytest

from libs.events.salts import make_salt
from libs.runtime.clock import SystemClock, unix_seconds
from libs.telemetry.facts import Facts
from services.delivery.measuring.links import MeasuringLinks
from tests.support.capture import VARIABLE
from tests.support.ledger_procs import wait_for
from tests.support.outside import Outside, outside
from tests.support.platform import RunningPlatform, running_platform
from tests.support.relations import Piece, documents, holding, names_of, pieces, vault_of
from tests.support.sender import sign_up

SHOP = "shop.example"
ANN, BEN, CLEO = PEOPLE = tuple(f"{name}.longname@remote.test" for name in ("quill", "ferro", "zunda"))
PAGE = f'<html><body><p>Grüße</p><a href="https://{SHOP}/offer?a=1&amp;b=2">Offer</a></body></html>'


class World:
    """A platform whose messages are written down, the rest of the world, and a business with its domain."""

    def __init__(self, outside: Outside, platform: RunningPlatform, captured: Path) -> None:
        self.outside, self.platform, self.captured = outside, platform, captured
        self.vault = vault_of(platform)
        self.business = sign_up(platform, "desk", platform.relay_domain, number=1)
        with self.business.http() as http:
            key = {"kind": "api_key", "label": "program", "scopes": ["mail:send"]}
            secret = http.post("/v1/credentials", json=key).raise_for_status().json()["secret"]
            self.account_id = str(http.get("/v1/session").raise_for_status().json()["account"]["id"])
            claimed = http.post("/v1/sender-domains", json={"domain": SHOP}).raise_for_status().json()
            for record in claimed["records"]:
                outside.publish(record["name"], record["type"], record["value"])
            checked = http.post(f"/v1/sender-domains/{SHOP}/check").raise_for_status().json()
        assert checked["verified"], checked
        self.dkim = {one["name"]: one["value"] for one in checked["records"] if one["purpose"] == "dkim"}
        self.api = httpx.Client(base_url=platform.url, headers={"authorization": f"Bearer {secret}"}, timeout=30)
        self.reader = httpx.Client(base_url=platform.url, timeout=30)
        self.inbox: dict[str, bytes] = {}

    def send(self) -> dict[str, bytes]:
        """Send a mail of the campaign to all three; return what arrives, by recipient."""
        before = len(self.outside.mails("remote.test"))
        mail = {"from": f"news@{SHOP}", "bcc": list(PEOPLE), "subject": "Offer", "text": "Hi", "html": PAGE}
        options = {"campaign": "spring", "one_click_unsubscribe": True}
        # What was known of the domain before is forgotten within seconds.
        wait_for("the domain", lambda: self.api.post("/v1/send", json=mail | options).status_code == 202, 30)
        self.outside.wait_mail("remote.test", before + 3)
        self.inbox = {one.recipients[0]: one.content for one in self.outside.mails("remote.test")[before:]}
        assert set(self.inbox) == set(PEOPLE)
        return self.inbox

    def path(self, address: str, kind: str) -> str:
        """Return the path behind a link in somebody's mail: "click", "open" or "out"."""
        pattern = {
            "click": r'href="http[^"]*(/m/[^"]+)"',
            "open": r'src="http[^"]*(/m/[^"]+)"',
            "out": r'"http[^"]*(/o/[^"]+)"',
        }
        (found,) = re.findall(pattern[kind], html_of(self.inbox[address]))
        return str(found)

    def pseudonym(self, address: str) -> int:
        """Return whom the links of a mail name, as delivery itself could open them."""
        links = MeasuringLinks(self.vault, self.platform.url, SystemClock())
        return links.read(self.path(address, "click").removeprefix("/m/")).pseudonym


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("measuring")
    captured = home / "captured"
    captured.mkdir()
    with pytest.MonkeyPatch.context() as patch, outside("remote.test") as found:
        patch.setenv(VARIABLE, str(captured))
        program = ("tests.support.capture", "platform")
        with running_platform(home / "home", program=program, **found.settings) as platform:
            world = World(found, platform, captured)
            yield world
            world.api.close()
            world.reader.close()
            world.business.client.close()


def html_of(content: bytes) -> str:
    message = email.message_from_bytes(content, policy=email.policy.default)
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def verified(world: World, content: bytes) -> bool:
    found: bool = dkim.verify(content, dnsfunc=lambda name, timeout=5: world.dkim[name.decode().rstrip(".")].encode())
    return found


def test_nothing_is_counted_until_it_is_switched_on(world: World) -> None:
    assert world.api.get("/v1/campaigns/spring/measuring").json() == {"opens": False, "clicks": False}
    for content in world.send().values():
        assert html_of(content).strip() == PAGE and verified(world, content)


def test_links_of_each_recipient_lead_on(world: World) -> None:
    switched = world.api.put("/v1/campaigns/spring/measuring", json={"opens": True, "clicks": True})
    assert switched.json() == {"opens": True, "clicks": True}
    wait_for("links", lambda: all(b"/o/" in one or "/o/" in html_of(one) for one in world.send().values()), 30)
    assert all(verified(world, content) for content in world.inbox.values())
    assert len({world.path(one, "click") for one in PEOPLE}) == 3
    for address in (ANN, CLEO):
        click = world.reader.get(world.path(address, "click"))
        assert (click.status_code, click.headers["location"]) == (302, f"https://{SHOP}/offer?a=1&b=2")
        dot = world.reader.get(world.path(address, "open"))
        assert (dot.status_code, dot.headers["content-type"], len(dot.content)) == (200, "image/gif", 43)
        assert "set-cookie" not in click.headers and "set-cookie" not in dot.headers
    path = world.path(BEN, "click")
    assert world.reader.head(path).status_code == 302
    for forged in (path[:-6] + "AAAAAA", "/m/" + "A" * 200, f"/m/https:{SHOP}"):
        answer = world.reader.get(forged)
        assert answer.status_code == 404 and "location" not in answer.headers
    told = world.api.get("/v1/campaigns/spring/responses").raise_for_status().json()
    assert told["opens"] is None and all(one["opens"] is None for one in told["days"])


def test_who_opts_out_gets_mail_as_it_was_sent(world: World) -> None:
    kept = dict(world.inbox)
    path = world.path(CLEO, "out")
    assert "Do not count me" in world.reader.get(path).text
    assert world.reader.post(path).status_code == 200
    later = world.send()
    assert html_of(later[CLEO]).strip() == PAGE and verified(world, later[CLEO])
    assert all("/o/" in html_of(later[one]) for one in (ANN, BEN))
    world.inbox = kept


def test_nothing_relates_a_recipient_to_an_open_or_click(world: World) -> None:
    pseudonyms = {one: world.pseudonym(one) for one in PEOPLE}
    salt = re.search(rb"salts\.\d{8}\n[^\n]*\n[^\n]*\n(.{32})\n", _captured(world), re.DOTALL)
    assert salt is not None
    # Who has the salt of the day can compute a pseudonym; it is in memory only, and gone with the day.
    facts = Facts()
    facts.set_salt(make_salt(unix_seconds(SystemClock()) // 86400, salt[1]))
    assert {one: facts.pseudonym("recipient", one.encode()) for one in PEOPLE} == pseudonyms
    again = facts.pseudonym("recipient", pseudonyms[ANN].to_bytes(8, "little")) or 0
    counted = again.to_bytes(8, "little")
    wait_for("the fact", lambda: counted in _captured(world), 20)
    on_disk = b"".join(path.read_bytes() for path in world.platform.home.rglob("*") if path.is_file())
    assert counted not in on_disk and salt[1] not in on_disk

    wait_for("what was noted of deliveries", lambda: deliveries(world) == len(world.outside.mails("remote.test")), 20)
    found = list(pieces(world.platform, world.captured, world.vault))
    places = {one.place.replace("c_", "").partition(" ")[0] for one in found}
    assert places >= {
        "delivery/event",
        "delivery/mail",
        "delivery/measured_campaign",
        "nats",
        "log",
        "metrics",
        "output",
    }
    named = {one: holding(found, names_of(world.platform, world.account_id, one, pseudonyms[one])) for one in PEOPLE}
    # What is kept of who opened and clicked is what is kept of who did neither; not to be counted is one entry more.
    kept = {one: Counter(piece.place for piece in named[one]) for one in PEOPLE}
    assert kept[ANN] == kept[BEN] and any(place.endswith("event") for place in kept[ANN])
    assert dict(kept[CLEO] - kept[BEN]) == {place: 1 for place in kept[CLEO] if place.endswith("uncounted")}
    # And nothing of it tells of a response, or is changed by one.
    for piece in named[ANN]:
        assert not tells_of_response(piece), piece.place


def test_the_search_finds_what_it_looks_for(world: World, tmp_path: Path) -> None:
    """The red control: a table that relates recipients to opens, under a hash of the platform's own."""
    names = names_of(world.platform, world.account_id, ANN, world.pseudonym(ANN))
    planted = tmp_path / "delivery" / "planted.db"
    planted.parent.mkdir()
    with closing(sqlite3.connect(planted)) as store:
        store.execute("CREATE TABLE responses (recipient BLOB, opened INTEGER)")
        # A raw hash, as a column of this kind would have it.
        hashed = next(one for one in names if len(one) == 16 and not one.isalnum())
        store.execute("INSERT INTO responses VALUES (?, 1)", (hashed,))
        store.commit()
    (piece,) = holding(documents(planted, world.vault), names)
    assert piece.place == "delivery/responses"
    for word in (b"click", b"opened", b"/m/"):
        assert tells_of_response(Piece("log", ANN.encode() + b" " + word))


def tells_of_response(piece: Piece) -> bool:
    """Tell whether a piece says that something was opened or followed."""
    return re.search(rb"click|open(?:s|ed)?\b|/m/|campaign_responses", piece.content.lower()) is not None


def deliveries(world: World) -> int:
    """Return how many deliveries the business is told of."""
    events = world.api.get("/v1/send/events", params={"limit": 200}).raise_for_status().json()["events"]
    return sum(one["type"] == "delivered" for one in events)


def _captured(world: World) -> bytes:
    return b"".join(path.read_bytes() for path in world.captured.glob("nats~*"))
