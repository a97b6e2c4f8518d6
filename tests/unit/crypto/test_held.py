"""What crypto answers for: counted, swept in time by whatever clock is slower, exported, erased to the last byte."""

from __future__ import annotations

import base64
import json

from libs.owner.model import Subject, Wanted
from libs.owner.owner import Owner
from libs.runtime.clock import unix_seconds
from libs.runtime.ids import new_id
from services.crypto.held import held_classes
from services.crypto.sweeper import Sweeper
from tests.unit.crypto.support import TODAY, World, entry_of, make_key

_DAY = 86_400


def owner_of(here: World) -> Owner:
    """Return crypto as a data owner."""
    return Owner(held_classes(here.store, here.directory, here.keys, here.mail_keys), here.store, here.clock)


async def test_each_class_counts_its_own(here: World) -> None:
    now = unix_seconds(here.clock)
    await here.directory.put(entry_of(make_key()))
    await here.keys.of_day(TODAY)
    await here.mail_keys.new(3, now + 10 * _DAY)
    await here.dkim.ensure("relay.sealpost.test")
    held = await owner_of(here).inventory()
    counts = {name: one.count for name, one in held.items()}
    assert counts.pop("domain_key") > 0
    assert counts == {"account_key": 1, "certificate": 1, "public_day_key": 1, "mail_key": 3}
    assert held["public_day_key"].first_due == TODAY.destroy_after
    assert held["mail_key"].first_due == now + 10 * _DAY


async def test_keys_end_when_both_clocks_say_so(here: World) -> None:
    owner, now = owner_of(here), unix_seconds(here.clock)
    await here.keys.of_day(TODAY)
    await here.mail_keys.new(5, now + 60)
    for name in ("public_day_key", "mail_key"):
        assert (await owner.sweep(name, 1 << 40, 10)).deleted == 0, "ours is behind"
    here.clock.advance(days=30)
    for name in ("public_day_key", "mail_key"):
        assert (await owner.sweep(name, now, 10)).deleted == 0, "the caller's is behind"
    later = unix_seconds(here.clock)
    swept = await owner.sweep("mail_key", later, 3)
    assert (swept.deleted, swept.more) == (3, True)
    assert (await owner.sweep("mail_key", later, 3)).deleted == 2
    assert (await owner.sweep("public_day_key", later, 10)).deleted == 1
    assert (await owner.sweep("certificate", later, 10)).deleted == 0


async def test_an_erased_account_leaves_no_key_and_no_byte(here: World) -> None:
    ada, eve = new_id(), new_id()
    await here.directory.put(entry_of(make_key(), account_id=ada))
    await here.directory.put(entry_of(make_key("eve@sealpost.test"), "eve", eve))
    owner = owner_of(here)
    step = await owner.erase(Subject(ada), 100)
    assert not step.more
    assert {name: (one.deleted, one.keys) for name, one in step.classes.items()} == {
        "account_key": (0, 1),
        "certificate": (1, 0),
    }
    await Sweeper(here.families, 60, 100).sweep()
    traces = await owner.traces([ada.encode(), eve.encode()])
    assert traces.found[0] == 0 < traces.found[1]
    assert await here.keys.of_accounts([ada]) == {}
    assert (await here.directory.get(eve)).data
    assert (await owner.erase(Subject(ada), 100)).classes == {}


async def test_the_owner_gets_his_certificate_and_an_order_nothing(here: World) -> None:
    ada, key = new_id(), make_key()
    await here.directory.put(entry_of(key, account_id=ada))
    owner = owner_of(here)
    items = [item async for _, item in owner.export(Subject(ada), (), Wanted())]
    (content,) = [b"".join([block async for block in item.content]) for item in items]
    assert base64.b64decode(json.loads(content)["certificate"]) == key.certificate
    assert [item async for item in owner.export(Subject(ada), (), Wanted(disclosure=True))] == []
    assert [item async for item in owner.export(Subject(new_id()), (), Wanted())] == []
