"""Batches are sealed item by item; sealed mail shows nothing; public mail opens, members' mail does not."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from libs.envelope import new_data_key, place_of, seal
from libs.runtime.errors import ExhaustedError, SealpostError
from libs.runtime.ids import new_id
from services.crypto.domain.model import Mail, OpenItem, Sealed
from services.crypto.domain.packets import Tag, read_packets
from services.crypto.domain.sealing import LARGE_BYTES, MAX_ENVELOPE_BYTES
from tests.unit.crypto.support import TODAY, World, entry_of, make_key, opened

KEY = make_key()
ENVELOPE = b'{"v":1,"from":{"name":"Ada Lovelace","address":"ada@example.org"},"subject":"Analytical engine"}'
BODY = b"Subject: Analytical engine\r\nFrom: Ada Lovelace <ada@example.org>\r\n\r\nThe diagram of operations.\r\n"


async def member(here: World) -> str:
    entry = entry_of(KEY)
    await here.directory.put(entry)
    return entry.account_id


def sealed_of(result: Sealed | SealpostError) -> Sealed:
    assert isinstance(result, Sealed), result
    return result


def reason_of(result: object) -> tuple[str, str]:
    assert isinstance(result, SealpostError), result
    return result.code, result.reason


async def test_a_members_mail_opens_with_his_key(here: World) -> None:
    account = await member(here)
    (result,) = await here.sealer.seal([Mail(account, new_id(), ENVELOPE, BODY)])
    sealed = sealed_of(result)
    assert (sealed.scheme, sealed.key_id) == ("openpgp", KEY.fingerprint)
    assert opened(KEY, sealed.envelope) == ENVELOPE
    assert opened(KEY, sealed.body) == BODY


async def test_sealed_mail_shows_nothing(here: World) -> None:
    account = await member(here)
    items = [Mail(owner, new_id(), ENVELOPE, BODY) for owner in (account, TODAY)]
    for result in await here.sealer.seal(items):
        sealed = sealed_of(result)
        content = sealed.envelope + sealed.body
        for mark in (b"Ada", b"ada@", b"example.org", b"Analytical", b"sealpost.test", b"diagram", b"Subject"):
            assert mark.lower() not in content.lower()
            assert base64.b64encode(mark).rstrip(b"=")[:-1] not in content


async def test_members_mail_is_two_packets_of_the_old_kind(here: World) -> None:
    account = await member(here)
    (result,) = await here.sealer.seal([Mail(account, new_id(), ENVELOPE, BODY)])
    for message in (sealed_of(result).envelope, sealed_of(result).body):
        assert [(packet.tag, packet.body[0]) for packet in read_packets(message)] == [
            (Tag.SESSION_KEY, 3),
            (Tag.SEALED, 1),
        ]


async def test_public_mail_opens_here_under_its_own_place_only(here: World) -> None:
    message_id = new_id()
    (result,) = await here.sealer.seal([Mail(TODAY, message_id, ENVELOPE, BODY)])
    sealed = sealed_of(result)
    assert sealed.scheme == "aes-256-gcm"
    items = [
        OpenItem(sealed.key_id, message_id, "envelope", sealed.envelope),
        OpenItem(sealed.key_id, message_id, "body", sealed.body),
        OpenItem(sealed.key_id, message_id, "body", sealed.envelope),
        OpenItem(sealed.key_id, new_id(), "body", sealed.body),
        OpenItem(sealed.key_id, message_id, "subject", sealed.body),
    ]
    envelope, body, *refused = await here.another_process().sealer.open(items)
    assert (envelope, body) == (ENVELOPE, BODY)
    assert [reason_of(r) for r in refused] == [
        ("invalid", "sealed_data_invalid"),
        ("invalid", "sealed_data_invalid"),
        ("invalid", "field"),
    ]


async def test_members_mail_does_not_open_here(here: World) -> None:
    account = await member(here)
    message_id = new_id()
    (result,) = await here.sealer.seal([Mail(account, message_id, ENVELOPE, BODY)])
    body = sealed_of(result).body
    for key_id in (KEY.fingerprint, account, f"account/{account}"):
        (refused,) = await here.sealer.open([OpenItem(key_id, message_id, "body", body)])
        assert reason_of(refused) == ("denied", "not_public")


async def test_one_failing_item_leaves_the_others_alone(here: World) -> None:
    account = await member(here)
    good = Mail(account, new_id(), ENVELOPE, BODY)
    items = [
        good,
        replace(good, owner=new_id()),
        replace(good, owner=""),
        replace(good, message_id="1"),
        replace(good, envelope=b"x" * (MAX_ENVELOPE_BYTES + 1)),
        replace(good, owner=replace(TODAY, day="2020-01-01")),
        replace(good, owner=TODAY),
    ]
    first, *failed, last = await here.sealer.seal(items)
    assert sealed_of(first).scheme == "openpgp"
    assert sealed_of(last).scheme == "aes-256-gcm"
    assert [reason_of(result) for result in failed] == [
        ("not_found", "certificate_unknown"),
        ("not_found", "certificate_unknown"),
        ("invalid", "message_id"),
        ("invalid", "envelope_too_large"),
        ("invalid", "day_not_open"),
    ]


async def test_an_empty_batch_is_fine(here: World) -> None:
    assert await here.sealer.seal([]) == []
    assert await here.sealer.open([]) == []


async def test_nothing_is_sealed_for_a_destroyed_day(here: World) -> None:
    await here.sealer.seal([Mail(TODAY, new_id(), ENVELOPE, BODY)])
    await here.keys.destroy_day(TODAY.domain, TODAY.day)
    (result,) = await here.sealer.seal([Mail(TODAY, new_id(), ENVELOPE, BODY)])
    assert reason_of(result) == ("unavailable", "key_destroyed")


@pytest.mark.parametrize("size", [LARGE_BYTES - 1, LARGE_BYTES + 1, 3 * LARGE_BYTES])
async def test_large_mail(here: World, size: int) -> None:
    account, message_id, body = await member(here), new_id(), b"0123456789abcdef" * (size // 16)
    mine, public = await here.sealer.seal([Mail(owner, message_id, b"{}", body) for owner in (account, TODAY)])
    assert opened(KEY, sealed_of(mine).body) == body
    item = OpenItem(sealed_of(public).key_id, message_id, "body", sealed_of(public).body)
    assert await here.sealer.open([item]) == [body]


async def test_more_than_fits_is_told_to_come_back(here: World) -> None:
    account = await member(here)
    here.max_in_flight = 3 * LARGE_BYTES
    here.__post_init__()
    item = Mail(account, new_id(), b"{}", b"x" * 2 * LARGE_BYTES)
    first, second = await asyncio.gather(*(here.sealer.seal([item]) for _ in range(2)), return_exceptions=True)
    assert isinstance(first, list)
    assert isinstance(second, ExhaustedError)
    assert second.retry_after is not None
    # What was taken on is given back; one batch always fits, however large.
    assert isinstance((await here.sealer.seal([item, item]))[1], Sealed)


async def test_the_event_loop_lives_while_large_mail_waits_its_turn(here: World) -> None:
    account = await member(here)
    item = Mail(account, new_id(), b"{}", b"x" * 2 * LARGE_BYTES)
    turns = 0
    work = asyncio.create_task(here.sealer.seal([item] * 5))
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5
    assert all(isinstance(result, Sealed) for result in await work)


async def test_a_blob_of_another_key_does_not_open(here: World) -> None:
    message_id = new_id()
    (result,) = await here.sealer.seal([Mail(TODAY, message_id, ENVELOPE, BODY)])
    forged = seal(new_data_key(), place_of("message", message_id, "body"), b"forged")
    (refused,) = await here.sealer.open([OpenItem(sealed_of(result).key_id, message_id, "body", forged)])
    assert reason_of(refused) == ("invalid", "sealed_data_invalid")
