"""Facts that wait to be counted: in order, bounded, again where nobody answers; a lost one is told by the floor."""

from __future__ import annotations

from array import array

from libs.events.facts import FactsPublisher
from libs.events.facts_held import Held, Partition, batches, encode, with_floor
from libs.events.jetstream import EventBus
from libs.events.link import Address, Link
from libs.events.salts import make_salt
from libs.runtime.secret import Secret
from libs.telemetry.facts import DAY_SECONDS, LOST, Columns, Facts
from protos.facts.v1.facts_pb2 import FactBatch
from tests.support.clock import ManualClock


def partition_of(count: int, size: int = 100) -> Partition:
    part = Partition(last=count)
    part.held.extend(Held(number + 1, bytes(size), 1, 0.0) for number in range(count))
    return part


def publish(part: Partition, now: float) -> list[int]:
    found = [held.sequence for held in part.due(now)]
    for sequence in found:
        part.published(sequence)
    return found


def test_each_is_published_once_while_it_is_confirmed() -> None:
    part = partition_of(3)
    assert publish(part, 0.0) == [1, 2, 3]
    assert publish(part, 5.0) == []
    assert [held.sequence for held in part.counted(2, 6.0)] == [1, 2]
    assert publish(part, 15.0) == []
    assert publish(part, 16.0) == [3]


def test_new_ones_do_not_keep_an_old_one_from_being_published_again() -> None:
    part = partition_of(1)
    assert publish(part, 0.0) == [1]
    for second in range(1, 10):
        part.last += 1
        part.held.append(Held(part.last, b"", 1, 0.0))
        assert publish(part, float(second)) == [part.last]
    assert publish(part, 10.0) == list(range(1, 11))


def test_repetitions_are_few_until_something_is_confirmed_and_become_rarer() -> None:
    part = partition_of(1000)
    assert len(publish(part, 0.0)) == 1000
    assert publish(part, 10.0) == list(range(1, 257))
    assert publish(part, 29.0) == []
    assert publish(part, 30.0) == list(range(1, 257))
    part.counted(256, 31.0)
    assert publish(part, 31.5) == list(range(257, 513))
    part.counted(1000, 32.0)
    assert publish(part, 99.0) == []
    large = partition_of(100, 180_000)
    assert len(publish(large, 0.0)) == 100
    assert publish(large, 10.0) == [1, 2, 3, 4, 5]
    assert len(large.due(10.0, everything=True)) == 95


def test_a_new_connection_gets_everything() -> None:
    part = partition_of(500)
    publish(part, 0.0)
    part.counted(10, 1.0)
    part.begin(2.0)
    assert publish(part, 2.0) == list(range(11, 501))


def test_the_floor_is_what_is_held_at_the_time_of_publishing() -> None:
    facts = Columns()
    facts.units, facts.cells = array("Q", [1, 2]), array("I", [0, 0])
    data = with_floor(encode(5, 9, 7, [("visitors", 3, facts)]), 8)
    batch = FactBatch.FromString(data)
    assert (batch.emitter, batch.sequence, batch.floor, batch.salt_id) == (5, 9, 8, 7)
    assert batch.columns[0].units == (1).to_bytes(8, "little") + (2).to_bytes(8, "little")


def test_no_batch_is_larger_than_a_message_may_be() -> None:
    facts = Columns()
    facts.units, facts.cells, facts.keys = (
        array("Q", bytes(160_000)),
        array("I", bytes(80_000)),
        array("Q", bytes(160_000)),
    )
    small = Columns()
    small.units, small.cells = array("Q", [1]), array("I", [1])
    found = list(batches([("campaign_responses", 1, facts), *[("visitors", slot, small) for slot in range(2000)]]))
    assert sum(len(columns) for batch in found for _, _, columns in batch) == 22_000
    assert max(len(encode(2**64 - 1, 2**60, 2**64 - 1, batch)) for batch in found) < 190 * 1024


async def test_what_falls_out_is_counted_as_lost_and_raises_the_floor() -> None:
    # Never connected: nothing is published here.
    bus = EventBus(Link(Address("nats://127.0.0.1:1", "nobody", Secret(""), None, "nobody")), 1)
    clock = ManualClock()
    facts = Facts(clock)
    facts.set_salt(make_salt(int(clock.now().timestamp()) // DAY_SECONDS, bytes(32)))
    publisher = FactsPublisher(facts, bus, clock, most_bytes=40_000)
    full, expired = LOST.value(reason="full"), LOST.value(reason="expired")
    for _ in range(10):
        for number in range(1000):
            facts.record("visitors", number.to_bytes(2, "big"))
        clock.advance(1)
        publisher.hold()
    lost = LOST.value(reason="full") - full
    assert 6000 < lost < 10_000
    assert publisher.unconfirmed == 10_000 - lost
    assert publisher.floors == [11 - batches for batches in publisher.held]
    clock.advance(minutes=31)
    publisher.hold()
    assert publisher.unconfirmed == 0
    assert LOST.value(reason="expired") - expired == 10_000 - lost
    assert publisher.floors == [11] * 8
