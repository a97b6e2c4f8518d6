"""Connections that are used again, shared and bounded, and destinations that are left alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.delivery.domain.model import Result
from services.delivery.transport import meters
from services.delivery.transport.settings import Bounds, Tuning
from tests.support.clock import ManualClock
from tests.support.remote_steps import CONNECT, CONTENT, DROP, MAIL, RCPT, SILENCE, slow
from tests.unit.delivery.transport.site import SHORT, FakeSettings, make_site, until, zone_for

DELIVERED, TEMPORARY = Result.DELIVERED, Result.TEMPORARY


async def test_mails_follow_each_other_on_one_connection() -> None:
    before = meters.REUSED.value()
    async with make_site() as site:
        for _ in range(5):
            assert (await site.send_one()).result is DELIVERED
        assert meters.IDLE.value() == 1
    assert site.mta.connections == 1
    assert meters.REUSED.value() - before == 4
    assert meters.IDLE.value() == 0


async def test_domains_at_the_same_servers_share_connections() -> None:
    zone = zone_for("127.0.0.2")
    zone["other.test", "MX"] = zone["remote.test", "MX"]
    async with make_site(zone=zone) as site:
        await site.send_one("bob@remote.test")
        await site.send_one("bob@other.test")
    assert site.mta.connections == 1


async def test_a_connection_carries_a_bounded_number_of_mails() -> None:
    async with make_site(tuning=Tuning(SHORT, Bounds(mails_per_connection=3))) as site:
        for _ in range(7):
            assert (await site.send_one()).result is DELIVERED
        assert site.mta.connections == 3
        await until(lambda: site.mta.commands.count("QUIT") == 2)
    assert site.mta.commands.count("QUIT") == 3


async def test_an_idle_connection_is_ended_politely() -> None:
    async with make_site(tuning=Tuning(SHORT, Bounds(idle_seconds=0.1))) as site:
        await site.send_one()
        await until(lambda: site.mta.open_connections == 0)
        assert site.mta.commands[-1] == "QUIT"
        assert meters.IDLE.value() == 0
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 2


async def test_idle_connections_are_bounded_in_all() -> None:
    zone: dict[tuple[str, str], list[str]] = {}
    for number in range(5):
        zone |= zone_for("127.0.0.2", domain=f"d{number}.test")
    async with make_site(zone=zone, tuning=Tuning(SHORT, Bounds(idle_connections=2))) as site:
        for number in range(5):
            assert (await site.send_one(f"bob@d{number}.test")).result is DELIVERED
        await until(lambda: site.mta.open_connections == 2)
        assert meters.IDLE.value() == 2


async def test_a_kept_connection_that_the_server_ended_costs_nothing() -> None:
    async with make_site() as site:
        assert (await site.send_one()).result is DELIVERED
        await site.mta.stop()
        assert (await site.send_one()).result is DELIVERED
        # With a 421 at the very moment of the next mail.
        site.mta.says(MAIL, "421 4.4.2 idle for too long", once=True)
        assert (await site.send_one()).result is DELIVERED
        # Or without a word.
        site.mta.says(MAIL, DROP, once=True)
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 4
    assert len(site.mta.mails) == 4


async def test_a_destination_has_so_many_connections_and_no_more() -> None:
    async with make_site(settings=FakeSettings(per_destination=3)) as site:
        site.mta.says(RCPT, slow(0.1))
        sending = [asyncio.create_task(site.send_one()) for _ in range(12)]
        await until(lambda: site.transport.busy("remote.test"))
        assert not site.transport.busy("other.test")
        outcomes = await asyncio.gather(*sending)
        assert {one.result for one in outcomes} == {DELIVERED}
        assert site.mta.most_open == 3
        assert not site.transport.busy("remote.test")


async def test_a_mail_waits_for_a_slot_only_so_long() -> None:
    tuning = Tuning(replace(SHORT, slot=0.1), Bounds())
    async with make_site(settings=FakeSettings(per_destination=1), tuning=tuning) as site:
        site.mta.says(RCPT, slow(0.5))
        first, second = await asyncio.gather(site.send_one(), site.send_one())
        assert first.result is DELIVERED
        assert (second.result, second.status, second.elsewhere) == (TEMPORARY, "4.4.5", True)
        # Nothing is left behind by the one that gave up.
        assert (await site.send_one()).result is DELIVERED


async def test_waiting_for_a_slot_can_be_cancelled() -> None:
    async with make_site(settings=FakeSettings(per_destination=1)) as site:
        site.mta.says(RCPT, slow(0.3), once=True)
        first = asyncio.create_task(site.send_one())
        await until(lambda: site.transport.busy("remote.test"))
        waiting = [asyncio.create_task(site.send_one()) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        waiting[1].cancel()
        assert (await first).result is DELIVERED
        assert (await waiting[2]).result is DELIVERED
        assert not site.transport.busy("remote.test")


async def test_a_destination_that_does_not_answer_is_left_alone_for_longer_and_longer() -> None:
    clock = ManualClock()
    tuning = Tuning(SHORT, Bounds(pause_first=10.0, pause_most=60.0))
    async with make_site(zone=zone_for("127.0.0.99"), clock=clock, tuning=tuning) as site:
        pauses = []
        for _ in range(6):
            outcome = await site.send_one()
            assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.1", True)
            assert outcome.host == "mx1.remote.test"
            pause = 0
            while site.transport.busy("remote.test"):
                # Meanwhile mail comes back without a connection.
                resting = await site.send_one()
                assert (resting.result, resting.status, resting.host) == (TEMPORARY, "4.4.1", "")
                clock.advance(1)
                pause += 1
            pauses.append(pause)
    for number, (pause, longest) in enumerate(zip(pauses, (10, 20, 40, 60, 60, 60), strict=True)):
        assert longest / 2 <= pause <= longest + 1, number


async def test_after_a_pause_one_mail_tries_and_success_forgets_everything() -> None:
    clock = ManualClock()
    async with make_site(clock=clock) as site:
        site.mta.says(CONNECT, "421 4.3.2 not now")
        assert (await site.send_one()).result is TEMPORARY
        assert site.transport.busy("remote.test")
        clock.advance(11)
        assert not site.transport.busy("remote.test")
        site.mta.behaves()
        site.mta.says(CONNECT, slow(0.3), once=True)
        probe = asyncio.create_task(site.send_one())
        await until(lambda: site.mta.connections == 2)
        assert site.transport.busy("remote.test")
        assert (await site.send_one()).result is TEMPORARY
        assert (await probe).result is DELIVERED
        assert not site.transport.busy("remote.test")
        assert (await site.send_one()).result is DELIVERED


async def test_a_dead_server_beside_a_living_one_is_tried_last() -> None:
    tuning = Tuning(replace(SHORT, greeting=0.5), Bounds(mails_per_connection=1))
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), tuning=tuning) as site:
        dead, alive = site.mtas
        dead.says(CONNECT, SILENCE)
        assert (await site.send_one()).host == "mx2.remote.test"
        for _ in range(3):
            assert (await site.send_one()).host == "mx2.remote.test"
        assert not site.transport.busy("remote.test")
    assert (dead.connections, len(alive.mails)) == (1, 4)


async def test_one_dead_destination_does_not_slow_the_others() -> None:
    zone = zone_for("127.0.0.2") | zone_for("127.0.0.3", domain="dead.test")
    tuning = Tuning(replace(SHORT, greeting=4.0), Bounds())
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), zone=zone, tuning=tuning) as site:
        site.mtas[1].says(CONNECT, SILENCE)
        stuck = [asyncio.create_task(site.send_one("bob@dead.test")) for _ in range(50)]
        await until(lambda: site.mtas[1].connections == 20)
        outcomes = await asyncio.gather(*(site.send_one() for _ in range(50)))
        assert {one.result for one in outcomes} == {DELIVERED}
        assert not any(task.done() for task in stuck)
        assert {one.result for one in await asyncio.gather(*stuck)} == {TEMPORARY}
        # Those that waited for a slot were told without a connection of their own.
        assert site.mtas[1].connections == 20


async def test_a_mail_that_is_refused_says_nothing_about_the_destination() -> None:
    async with make_site() as site:
        site.mta.says(CONTENT, "550 5.7.1 spam")
        for _ in range(3):
            await site.send_one()
        assert not site.transport.busy("remote.test")


async def test_closing_ends_every_kept_connection() -> None:
    async with make_site() as site:
        site.mta.says(RCPT, slow(0.1))
        await asyncio.gather(*(site.send_one() for _ in range(5)))
        assert site.mta.open_connections == 5
        await site.transport.aclose()
        await until(lambda: site.mta.open_connections == 0)
    assert site.mta.commands.count("QUIT") == 5
