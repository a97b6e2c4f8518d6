"""One click takes somebody off a list, and a link tells nobody who he is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import KeyEncryptionKeys, Vault
from libs.runtime.errors import NotFoundError, UnavailableError
from libs.runtime.secret import Secret
from services.delivery.domain.model import Order, Profile, QueuedMail, Recipient
from services.delivery.domain.ports import Kind
from services.delivery.domain.unsubscribe import Subscription, UnsubscribeLinks
from services.delivery.reports.unsubscribing import Unsubscribing
from tests.support.clock import ManualClock
from tests.unit.delivery.fake_ports import FakeHappenings

ONE = Subscription("a" * 32, Profile.RELAY, "autumn", "b" * 32, 7, "bücher+x@example.net")
VAULT = Vault(KeyEncryptionKeys({1: Secret(b"1" * 32)}))
LINKS = UnsubscribeLinks(VAULT, "https://mail.sealpost.test/")
ORDER = Order("b" * 32, "a" * 32, Profile.RELAY, "ada@example.org", [], b"", campaign="autumn")
MAIL = QueuedMail(
    "b" * 32, ORDER, 0, [Recipient(f"r{number}@example.net") for number in range(7)] + [Recipient(ONE.address)]
)


def token_in(content: bytes) -> str:
    line = content.split(b"\r\n")[0].decode()
    assert line.startswith("List-Unsubscribe: <https://mail.sealpost.test/u/") and line.endswith(">")
    return line.removesuffix(">").rpartition("/")[2]


def test_both_fields_name_the_recipient() -> None:
    fields = LINKS.fields(MAIL, 7)
    assert LINKS.read(token_in(fields)) == ONE
    assert fields.split(b"\r\n")[1:] == [b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", b""]
    assert len(fields.split(b"\r\n")[0]) < 998
    assert LINKS.read(token_in(LINKS.fields(MAIL, 3))).address == "r3@example.net"


def test_a_token_shows_nothing_and_fits_the_longest_address() -> None:
    tokens = {LINKS.token(ONE) for _ in range(10)}
    assert len(tokens) == 10
    raw = base64.urlsafe_b64decode(next(iter(tokens)) + "==")
    assert b"example" not in raw and b"autumn" not in raw and ONE.account_id.encode() not in raw
    longest = Subscription("a" * 32, Profile.RELAY, "c" * 64, "b" * 32, 65534, "ü" * 32 + "@" + "x" * 189)
    assert LINKS.read(LINKS.token(longest)) == longest
    assert len(LINKS.token(longest)) < 900


def test_a_changed_or_foreign_token_names_nobody() -> None:
    token = LINKS.token(ONE)
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(NotFoundError):
            LINKS.read(token[:place] + other + token[place + 1 :])
    foreign = UnsubscribeLinks(Vault(KeyEncryptionKeys({1: Secret(b"2" * 32)})), "https://x")
    with pytest.raises(NotFoundError):
        LINKS.read(foreign.token(ONE))
    elsewhere = base64.urlsafe_b64encode(VAULT.seal("mail/x/trail", b'["a"]' * 40)).decode().rstrip("=")
    with pytest.raises(NotFoundError):
        LINKS.read(elsewhere)


@given(st.one_of(st.text(max_size=300), st.text("AB-_9", min_size=100, max_size=300)))
def test_whatever_is_no_token_names_nobody(text: str) -> None:
    with pytest.raises(NotFoundError):
        LINKS.read(text)


def test_links_outlive_a_rotation_and_wait_for_a_missing_key() -> None:
    token = LINKS.token(ONE)
    keys = {1: Secret(b"1" * 32), 2: Secret(b"2" * 32)}
    assert UnsubscribeLinks(Vault(KeyEncryptionKeys(keys)), "https://x").read(token) == ONE
    with pytest.raises(UnavailableError):
        UnsubscribeLinks(Vault(KeyEncryptionKeys({2: keys[2]})), "https://x").read(token)


async def test_a_click_is_noted_once() -> None:
    happenings = FakeHappenings()
    unsubscribing = Unsubscribing(LINKS, happenings, ManualClock())
    for _ in range(3):
        await unsubscribing.unsubscribe(LINKS.token(ONE))
    (noted,) = happenings.noted.values()
    assert (noted.kind, noted.recipient, noted.account_id) == (Kind.UNSUBSCRIBED, ONE.address, ONE.account_id)
    assert (noted.campaign, noted.submission_id, noted.profile) == ("autumn", ONE.mail_id, Profile.RELAY)


async def test_a_click_that_cannot_be_noted_is_not_confirmed() -> None:
    happenings = FakeHappenings()
    happenings.fault = UnavailableError("store")
    with pytest.raises(UnavailableError):
        await Unsubscribing(LINKS, happenings, ManualClock()).unsubscribe(LINKS.token(ONE))
