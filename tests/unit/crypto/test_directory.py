"""The directory: kept sealed, listed once, found by hash, deleted with its key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key
from libs.docstore.store import Patch
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.crypto.domain.certificates import wkd_hash_of
from services.crypto.domain.directory import Recipient
from services.crypto.repository import CERTIFICATES, DATA_KEYS
from tests.unit.crypto.support import CREATED, DOMAIN, World, entry_of, make_key, world

KEY = make_key()
ADA = wkd_hash_of("ada")


async def test_a_listed_certificate_is_found_by_account_and_by_name(here: World) -> None:
    entry = entry_of(KEY)
    assert await here.directory.put(entry) == KEY.fingerprint
    assert await here.directory.put(entry) == KEY.fingerprint
    for one in (here, here.another_process()):
        assert (await one.directory.get(entry.account_id)).data == KEY.certificate
        found = await one.directory.find(DOMAIN, ADA)
        assert (found.data, found.fingerprint) == (KEY.certificate, KEY.fingerprint)


async def test_unknown_ones_are_not_found(here: World) -> None:
    await here.directory.put(entry_of(KEY))
    for missing in (
        here.directory.get(new_id()),
        here.directory.get("../x"),
        here.directory.find(DOMAIN, wkd_hash_of("eve")),
        here.directory.find("elsewhere.test", ADA),
    ):
        with pytest.raises(NotFoundError, match="certificate_unknown"):
            await missing


async def test_a_certificate_is_kept_before_it_is_listed(here: World) -> None:
    account = new_id()
    for entry in (
        replace(entry_of(KEY, account_id=account), domain="", wkd_hash=""),
        entry_of(KEY, "ada", account, False),
    ):
        await here.directory.put(entry)
        assert isinstance((await here.directory.recipients([account]))[account], Recipient)
        with pytest.raises(NotFoundError):
            await here.directory.find(DOMAIN, ADA)
    await here.directory.put(entry_of(KEY, account_id=account))
    assert (await here.directory.find(DOMAIN, ADA)).fingerprint == KEY.fingerprint
    # Listed once, it stays listed.
    await here.directory.put(entry_of(KEY, "ada", account, False))
    assert (await here.directory.find(DOMAIN, ADA)).fingerprint == KEY.fingerprint


async def test_an_unfinished_sign_up_holds_no_name(here: World) -> None:
    await here.directory.put(entry_of(make_key(), listed=False))
    await here.directory.put(entry_of(KEY))
    assert (await here.directory.find(DOMAIN, ADA)).fingerprint == KEY.fingerprint


async def test_one_name_one_account_one_certificate(here: World) -> None:
    entry = entry_of(KEY)
    await here.directory.put(entry)
    with pytest.raises(ConflictError, match="address_taken"):
        await here.directory.put(entry_of(make_key()))
    waiting = entry_of(make_key(), listed=False)
    await here.directory.put(waiting)
    with pytest.raises(ConflictError, match="address_taken"):
        await here.directory.put(replace(waiting, listed=True))
    with pytest.raises(ConflictError, match="certificate_exists"):
        await here.directory.put(replace(entry, data=make_key().certificate))
    assert (await here.directory.get(entry.account_id)).data == KEY.certificate


async def test_a_name_that_the_certificate_does_not_bear_is_refused(here: World) -> None:
    for listed in (True, False):
        with pytest.raises(InvalidError, match="certificate_address"):
            await here.directory.put(replace(entry_of(KEY, "eve"), listed=listed))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"account_id": "ada"}, "account_id"),
        ({"domain": "Sealpost.Test"}, "directory_name"),
        ({"domain": "sealpost.test\0x"}, "directory_name"),
        ({"domain": ""}, "directory_name"),
        ({"wkd_hash": "x"}, "directory_name"),
        ({"wkd_hash": ADA.upper()}, "directory_name"),
    ],
)
async def test_bad_entries_are_refused(here: World, change: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        await here.directory.put(replace(entry_of(KEY), **change))  # type: ignore[arg-type]


async def test_a_newer_form_of_the_certificate_replaces_the_older(here: World) -> None:
    material = KeyMaterial.generate()

    def form(lifetime: int) -> GeneratedKey:
        return build_key("<ada@sealpost.test>", CREATED, material, lifetime)

    entry = entry_of(form(200_000_000))
    await here.directory.put(entry)
    await here.directory.put(replace(entry, data=form(0).certificate))
    assert (await here.directory.find(DOMAIN, ADA)).data == form(0).certificate


async def test_two_at_once_end_as_one(here: World) -> None:
    entry = entry_of(KEY)
    worlds = [here.another_process() for _ in range(5)]
    results = await asyncio.gather(*(one.directory.put(entry) for one in worlds), return_exceptions=True)
    assert KEY.fingerprint in results
    assert all(r == KEY.fingerprint or isinstance(r, UnavailableError) for r in results)


async def test_deleting_takes_certificate_and_key(here: World) -> None:
    entry = entry_of(KEY)
    await here.directory.put(entry)
    await here.directory.recipients([entry.account_id])
    await here.directory.delete(entry.account_id)
    await here.directory.delete(entry.account_id)
    assert await here.directory.recipients([entry.account_id]) == {}
    assert await here.store.get(DATA_KEYS, f"account/{entry.account_id}") is None
    with pytest.raises(NotFoundError):
        await here.directory.find(DOMAIN, ADA)
    await here.directory.put(entry)
    assert (await here.directory.find(DOMAIN, ADA)).fingerprint == KEY.fingerprint


async def test_only_an_id_can_be_deleted(here: World) -> None:
    with pytest.raises(InvalidError, match="account_id"):
        await here.directory.delete("ada")


async def test_recipients_are_read_together(here: World) -> None:
    entries = [entry_of(make_key(f"u{n}@sealpost.test"), f"u{n}") for n in range(3)]
    for entry in entries:
        await here.directory.put(entry)
    accounts = [entry.account_id for entry in entries]
    there = here.another_process()
    asked = [*accounts, accounts[0], new_id(), "ada"]
    assert set(await there.directory.recipients(asked)) == set(accounts)
    assert set(await there.directory.recipients(asked)) == set(accounts)


async def test_a_damaged_record_is_temporary_and_alone(here: World) -> None:
    good, bad = entry_of(make_key("u1@sealpost.test"), "u1"), entry_of(make_key("u2@sealpost.test"), "u2")
    for entry in (good, bad):
        await here.directory.put(entry)
    swapped = await here.store.get(CERTIFICATES, good.account_id)
    assert swapped is not None
    await here.store.write(Patch(CERTIFICATES, bad.account_id, {"sealed": swapped.body["sealed"]}))
    ready = await here.another_process().directory.recipients([good.account_id, bad.account_id])
    assert isinstance(ready[good.account_id], Recipient)
    damage = ready[bad.account_id]
    assert isinstance(damage, UnavailableError)
    assert damage.reason == "certificate_damaged"


async def test_the_files_name_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.directory.put(entry_of(KEY))
        await here.store.compact()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert content
    fingerprint = bytes.fromhex(KEY.fingerprint)
    # Marks that hexadecimal ids cannot spell by chance.
    for mark in (
        b"ada@",
        b"sealpost.test",
        ADA.encode(),
        KEY.fingerprint.encode(),
        fingerprint,
        KEY.certificate[10:60],
    ):
        assert mark not in content
