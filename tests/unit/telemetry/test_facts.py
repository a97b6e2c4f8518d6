"""Facts: numbers at once, bounded, and nothing that names a unit."""

from __future__ import annotations

import gc
import hashlib
import hmac
import os
import types
from collections.abc import Iterator

import pytest

from libs.policy import load_policy
from libs.runtime.secret import Secret
from libs.telemetry import mode
from libs.telemetry.facts import DAY_SECONDS, LOST, PARTITIONS, Facts, NoFacts, Salt, little_endian
from tests.support.clock import ManualClock

SECRET = os.urandom(32)
UNIT = b"203.0.113.77"


def salt_of(clock: ManualClock, number: int = 7, secret: bytes = SECRET) -> Salt:
    return Salt(int(clock.now().timestamp()) // DAY_SECONDS, number, Secret(secret))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def facts(clock: ManualClock) -> Facts:
    made = Facts(clock)
    made.set_salt(salt_of(clock))
    return made


@pytest.fixture
def lenient() -> Iterator[None]:
    mode.set_strict(False)
    yield
    mode.set_strict(True)


def lost(reason: str) -> float:
    return LOST.value(reason=reason)


def test_a_fact_is_three_numbers(facts: Facts, clock: ManualClock) -> None:
    facts.record("smtp_sessions", UNIT, port="submission", outcome="refused", tls="TLSv1.3")
    [(salt, columns)] = facts.take().columns.items()
    [((metric, slot, partition), found)] = columns.items()
    pseudonym = int.from_bytes(hmac.digest(SECRET, b"ip:" + UNIT, hashlib.sha256)[:8], "little")
    assert (salt, metric, slot) == (7, "smtp_sessions", int(clock.now().timestamp()) // 10)
    assert list(found.units) == [pseudonym]
    assert partition == pseudonym % PARTITIONS
    dimensions = load_policy().metrics["smtp_sessions"].dimensions
    port, outcome, tls = (list(values) for values in dimensions.values())
    place = (port.index("submission") * len(outcome) + outcome.index("refused")) * len(tls) + tls.index("TLSv1.3")
    assert list(found.cells) == [place]
    assert len(found.keys) == 0
    assert facts.take().columns == {}


def test_a_unit_is_the_same_for_a_day_and_another_the_day_after(facts: Facts, clock: ManualClock) -> None:
    facts.record("logins", UNIT)
    facts.record("logins", UNIT)
    facts.record("mail_opened", UNIT)
    columns = facts.take().columns[7]
    logins = [unit for (metric, _, _), found in columns.items() if metric == "logins" for unit in found.units]
    opened = [unit for (metric, _, _), found in columns.items() if metric == "mail_opened" for unit in found.units]
    assert len(logins) == 2
    assert len(set(logins)) == 1
    # An account is no address, even if it is written alike.
    assert set(opened).isdisjoint(logins)
    clock.advance(DAY_SECONDS)
    facts.set_salt(salt_of(clock, 8, os.urandom(32)))
    facts.record("logins", UNIT)
    [found] = facts.take().columns[8].values()
    assert set(found.units).isdisjoint(logins)


def test_what_is_outside_of_a_vocabulary_is_other(facts: Facts) -> None:
    facts.record("logins", UNIT, door="page\r\nX: y", outcome="secret@example.org")
    facts.record("logins", UNIT)
    [found] = facts.take().columns[7].values()
    sizes = [len(values) for values in load_policy().metrics["logins"].dimensions.values()]
    assert list(found.cells) == [sizes[0] * sizes[1] - 1] * 2


def test_keys_travel_where_a_metric_has_one(facts: Facts) -> None:
    facts.record("campaign_responses", UNIT, key=(1 << 64) - 3, response="open")
    [found] = facts.take().columns[7].values()
    assert list(found.keys) == [(1 << 64) - 3]
    assert little_endian(found.keys) == ((1 << 64) - 3).to_bytes(8, "little")


def test_without_a_salt_facts_are_lost_and_counted(clock: ManualClock) -> None:
    facts = Facts(clock)
    before = lost("no_salt")
    facts.record("logins", UNIT)
    assert lost("no_salt") == before + 1
    assert facts.waiting == 0
    assert facts.pseudonym("recipient", UNIT) is None


def test_columns_are_bounded(clock: ManualClock) -> None:
    facts = Facts(clock, most=5)
    facts.set_salt(salt_of(clock))
    before = lost("full")
    for _ in range(8):
        facts.record("logins", UNIT)
    assert facts.waiting == 5
    assert lost("full") == before + 3
    assert facts.take().facts == 5
    facts.record("logins", UNIT)
    assert facts.waiting == 1


def test_facts_under_a_salt_that_lost_leave_under_its_name(facts: Facts, clock: ManualClock) -> None:
    facts.record("logins", UNIT)
    facts.set_salt(salt_of(clock, 9, os.urandom(32)))
    facts.record("logins", UNIT)
    taken = facts.take()
    assert {salt: sum(map(len, found.values())) for salt, found in taken.columns.items()} == {7: 1, 9: 1}
    assert set(facts.take().columns) == set()


def test_a_forgotten_salt_takes_what_it_named_with_it(facts: Facts, clock: ManualClock) -> None:
    facts.record("logins", UNIT)
    before = lost("expired")
    facts.forget_salt(int(clock.now().timestamp()) // DAY_SECONDS)
    assert lost("expired") == before + 1
    assert facts.waiting == 0
    facts.record("logins", UNIT)
    assert facts.waiting == 0


def test_undeclared_metrics_and_dimensions_are_found_in_tests(facts: Facts) -> None:
    with pytest.raises(KeyError):
        facts.record("moods", UNIT)
    with pytest.raises(KeyError):
        facts.record("logins", UNIT, mood="good")


@pytest.mark.usefixtures("lenient")
def test_undeclared_metrics_stop_nobody_in_production(facts: Facts) -> None:
    facts.record("moods", UNIT)
    facts.record("logins", UNIT, mood="good")
    assert facts.waiting == 1


def test_nothing_holds_a_unit(facts: Facts, clock: ManualClock) -> None:
    facts.record("logins", bytes(bytearray(b"unit-that-nobody-keeps")))
    seen: dict[int, object] = {}
    waiting: list[object] = [facts]
    while waiting:
        thing = waiting.pop()
        if id(thing) not in seen and not isinstance(thing, (type, types.ModuleType, types.FunctionType)):
            seen[id(thing)] = thing
            waiting += gc.get_referents(thing)
    texts = [thing for thing in seen.values() if isinstance(thing, (bytes, str))]
    assert len(texts) > 20
    assert not [text for text in texts if "unit-that-nobody" in repr(text)]
    assert SECRET.hex() not in repr(salt_of(clock))
    assert repr(SECRET) not in repr(salt_of(clock))


def test_pseudonyms_are_those_of_facts(facts: Facts) -> None:
    facts.record("campaign_responses", UNIT, response="open")
    [found] = facts.take().columns[7].values()
    assert facts.pseudonym("recipient", UNIT) == found.units[0]


def test_no_facts_takes_everything() -> None:
    NoFacts().record("whatever", UNIT, key=1, colour="red")
    assert NoFacts().pseudonym("ip", UNIT) is None
