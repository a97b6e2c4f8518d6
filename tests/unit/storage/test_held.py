"""What storage answers about what it keeps: counts, times, settings that go, exports."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.docstore.store import Store
from libs.owner.model import Count, Item, Subject, Swept, Wanted
from libs.owner.owner import Owner
from libs.owner.terms import TERMS
from libs.policy import Terms, Version, load_policy
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from services.storage.domain import Change, Object
from services.storage.expiry import Expiry
from services.storage.held.beside import Tombstones
from services.storage.held.common import Keeping
from services.storage.held.graph import classes_of
from services.storage.main import compose
from services.storage.removal import Remover
from services.storage.repository import COLLECTIONS
from tests.support.clock import ManualClock
from tests.support.owner import Left, check_owner
from tests.unit.storage.support import BODY, MAX_BODY, Storage, open_storage, some_bytes

ALICE, BOB = "alice", "bob"
DAY = 86_400
ACCOUNT = new_id()
PUBLIC_SECONDS = 4000


@dataclass
class Kept:
    """Implements tests.support.owner.Trial."""

    storage: Storage
    owner: Owner
    left: Mapping[str, Left]

    @property
    def store(self) -> Store:
        return self.storage.store

    @property
    def clock(self) -> ManualClock:
        return self.storage.clock

    async def put(self, subject: Subject, mark: bytes) -> None:
        mailbox_id, parts = subject.mailbox_id, self.storage.graph.parts
        # Making mails takes a second for each.
        expires_at = unix_seconds(self.clock) + 60 + PUBLIC_SECONDS
        mails = [self.storage.mail(mailbox_id, envelope=mark, body=mark * 9, folder="sent") for _ in range(3)]
        mails += [self.storage.mail(new_id(), keep_newest=6, expires_at=expires_at + n) for n in range(3)]
        assert await self.storage.append(*mails) == ["ok"] * 6
        await parts.folders.put(mailbox_id, "", mark)
        for name in ("contacts", "settings"):
            await parts.objects.put(mailbox_id, name, Object(mark, 0))
        # What is announced goes on to the broker, and is forgotten here.
        await self.store.clear_events(await self.storage.events())


class Uncounted(Tombstones):
    """They stay, as they should."""

    async def count(self) -> Count:
        return Count(0)


async def test_it_keeps_to_what_every_owner_does(storage: Storage) -> None:
    parts, terms = storage.graph.parts, Terms(load_policy())
    expiry = Expiry(storage.store, Remover(storage.store, storage.graph.usage, parts.bodies, storage.clock))
    classes = classes_of(storage.store, parts, expiry, terms, storage.clock)
    classes[-1] = Uncounted(Keeping(storage.store, parts.erased))
    over = (unix_seconds(storage.clock) // DAY + 1) * DAY + preferences_seconds()
    left = {
        "mailbox": Left(erased=1, exported=True),
        "preferences": Left(erased=1, lifetime=over - unix_seconds(storage.clock), exported=True),
        "contacts": Left(erased=1, exported=True),
        "member_mail": Left(count=3, erased=3, exported=True),
        "public_mail": Left(count=3, lifetime=PUBLIC_SECONDS),
    }
    await check_owner(Kept(storage, Owner(classes, storage.store, storage.clock), left))


async def exported(storage: Storage, mailbox_id: str, *names: str, wanted: Wanted | None = None) -> dict[str, bytes]:
    """Return the content of all items by class and name, in the order in which they came."""
    found: dict[str, bytes] = {}
    subject = Subject(ACCOUNT, mailbox_id)
    async for name, item in storage.graph.owner.export(subject, names, wanted or Wanted()):
        blocks = [block async for block in item.content]
        assert max(map(len, blocks)) <= 256 * 1024
        assert item.kind in {"json", "mail"}
        found[f"{name}/{item.name}"] = b"".join(blocks)
    return found


async def sweep(storage: Storage, name: str, limit: int = 10_000) -> Swept:
    return await storage.graph.owner.sweep(name, unix_seconds(storage.clock), limit)


def preferences_seconds() -> int:
    return load_policy().rules["preferences_seconds"].value


async def test_its_classes_are_those_of_the_policy(storage: Storage) -> None:
    classes = load_policy().classes
    assert set(storage.graph.owner.names) == {name for name, one in classes.items() if one.service == "storage"}
    for collection in set(COLLECTIONS) - {TERMS}:
        named = {field for one in classes.values() for field in one.where.get(collection.name, ())}
        assert set(collection.fields) <= named


async def test_what_is_held_is_counted_by_class(storage: Storage) -> None:
    public = storage.public_mail(BOB, seconds=1000)
    counted = storage.mail(ALICE, expires_at=unix_seconds(storage.clock) + 500, quota_messages=9)
    await storage.append(storage.mail(ALICE), storage.mail(ALICE), public, counted)
    await storage.graph.parts.objects.put(ALICE, "contacts", Object(b"sealed", 0))
    await storage.graph.parts.objects.put(ALICE, "settings", Object(b"sealed", 0))
    held = await storage.graph.owner.inventory()
    day = unix_seconds(storage.clock) // DAY
    assert held["member_mail"] == Count(2)
    assert held["public_mail"] == Count(2, first_due=counted.messages[0].expires_at)
    assert held["mailbox"] == Count(1)
    assert held["contacts"] == Count(1)
    assert held["preferences"] == Count(1, first_due=(day + 1) * DAY + preferences_seconds())
    assert held["staged_mail"] == held["erased_mailbox"] == Count(0)


async def test_what_has_expired_is_not_there_any_more_swept_or_not(storage: Storage) -> None:
    expires_at = unix_seconds(storage.clock) + 1000
    mails = [storage.mail(ALICE, expires_at=expires_at, quota_messages=9), storage.public_mail(BOB, seconds=990)]
    kept = storage.mail(ALICE)
    await storage.append(*mails, kept)
    assert (await storage.mailbox(ALICE)).folders[0].unseen == 2
    storage.clock.advance(1000)
    assert await storage.ids(ALICE) == [kept.messages[0].message_id]
    assert await storage.ids(ALICE, "inbox") == [kept.messages[0].message_id]
    assert await storage.ids(BOB) == []
    mailbox = await storage.mailbox(ALICE)
    assert (mailbox.used_messages, mailbox.used_bytes, mailbox.folders[0].unseen) == (1, 1000, 1)
    assert (await storage.mailbox(BOB)).used_messages == 0
    for mailbox_id, mail in ((ALICE, mails[0]), (BOB, mails[1])):
        message_id = mail.messages[0].message_id
        with pytest.raises(NotFoundError, match=r"^message$"):
            await storage.graph.parts.mailboxes.get(mailbox_id, message_id)
        with pytest.raises(NotFoundError, match=r"^message$"):
            await storage.graph.parts.mailboxes.read(mailbox_id, message_id)
        assert await storage.graph.parts.mailboxes.update(mailbox_id, [message_id], Change(add=1)) == [message_id]
    assert [name for name in await exported(storage, ALICE, "member_mail")] == [
        f"member_mail/{kept.messages[0].message_id}"
    ]
    assert await storage.expire() == 2
    assert (await storage.mailbox(ALICE)).used_messages == 1


async def test_a_caller_that_is_ahead_deletes_nothing_early(storage: Storage) -> None:
    await storage.append(storage.public_mail(ALICE, seconds=1000))
    await storage.graph.parts.objects.put(ALICE, "settings", Object(b"sealed", 0))
    for name in storage.graph.owner.names:
        assert await storage.graph.owner.sweep(name, unix_seconds(storage.clock) + 400 * DAY, 1000) == Swept(0)
    assert len(await storage.ids(ALICE)) == 1
    assert (await storage.graph.parts.objects.get(ALICE, "settings")).sealed == b"sealed"


async def test_settings_go_when_nobody_comes_and_not_before(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    for mailbox_id in (ALICE, BOB):
        await objects.put(mailbox_id, "settings", Object(b"sealed", 0))
        await objects.put(mailbox_id, "contacts", Object(b"sealed", 0))
    storage.clock.advance(days=60)
    assert (await objects.get(BOB, "settings")).version == 1
    start = unix_seconds(storage.clock) - 60 * DAY
    over = (start // DAY + 1) * DAY + preferences_seconds()
    storage.clock.advance(over - unix_seconds(storage.clock) - 1)
    assert await sweep(storage, "preferences") == Swept(0)
    storage.clock.advance(1)
    assert await objects.get(ALICE, "settings") == Object(b"", 0)
    assert await sweep(storage, "preferences") == Swept(1)
    assert await sweep(storage, "preferences") == Swept(0)
    assert await objects.get(BOB, "settings") == Object(b"sealed", 1)
    assert await objects.get(ALICE, "contacts") == Object(b"sealed", 1)
    storage.clock.advance(days=200)
    assert await sweep(storage, "preferences") == Swept(1)


async def test_a_look_is_noted_once_a_day_and_disturbs_no_writer(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    first = await objects.put(ALICE, "settings", Object(b"one", 0))
    storage.clock.advance(days=3)
    for _ in range(3):
        assert await objects.get(ALICE, "settings") == first
    second = await objects.put(ALICE, "settings", Object(b"two", first.version))
    assert second.version == first.version + 1
    with pytest.raises(ConflictError, match=r"^version$"):
        await objects.put(ALICE, "settings", Object(b"three", first.version))
    # Exporting is no visit of the owner's.
    storage.clock.advance(days=89)
    assert b'"version": 2' in (await exported(storage, ALICE, "preferences"))["preferences/preferences.json"]
    storage.clock.advance(days=3)
    assert await sweep(storage, "preferences") == Swept(1)


async def test_settings_that_are_over_but_there_are_written_anew(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    await objects.put(ALICE, "settings", Object(b"one", 0))
    storage.clock.advance(days=100)
    assert await objects.put(ALICE, "settings", Object(b"two", 0)) == Object(b"two", 1)
    assert await sweep(storage, "preferences") == Swept(0)
    assert await objects.get(ALICE, "settings") == Object(b"two", 1)


async def test_whoever_kept_older_terms_keeps_their_number(tmp_path: Path) -> None:
    terms = Terms(load_policy())
    terms.put(
        [Version(1, {"preferences_seconds": 10 * DAY}), Version(2, {"preferences_seconds": 20 * DAY}, active=True)]
    )
    async with open_storage(tmp_path) as storage:
        storage.graph = compose(storage.store, storage.clock, MAX_BODY, terms)
        objects = storage.graph.parts.objects
        await objects.put(ALICE, "settings", Object(b"sealed", 0), terms=1)
        await objects.put(BOB, "settings", Object(b"sealed", 0))
        storage.clock.advance(days=11)
        assert await objects.get(ALICE, "settings", terms=1) == Object(b"", 0)
        assert await sweep(storage, "preferences") == Swept(1)
        storage.clock.advance(days=5)
        assert (await storage.graph.owner.inventory())["preferences"].count == 1
        storage.clock.advance(days=5)
        assert await sweep(storage, "preferences") == Swept(1)


async def test_settings_are_forgotten_when_their_owner_says_so(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    await objects.put(ALICE, "settings", Object(b"sealed", 0))
    await objects.delete(ALICE, "settings")
    await objects.delete(ALICE, "settings")
    assert await objects.get(ALICE, "settings") == Object(b"", 0)
    with pytest.raises(InvalidError, match=r"^object$"):
        await objects.delete(ALICE, "notes")


async def test_an_export_has_everything_as_it_is_stored(storage: Storage) -> None:
    large = some_bytes(700_000)
    small = storage.mail(ALICE, flags=5, folder="sent")
    big = storage.mail(ALICE, BOB, body=large)
    await storage.append(small, big)
    folder = await storage.graph.parts.folders.put(ALICE, "", b"sealed name")
    await storage.graph.parts.objects.put(ALICE, "contacts", Object(b"sealed contacts", 0))
    found = await exported(storage, ALICE)
    mails = [f"member_mail/{one.messages[0].message_id}" for one in (small, big)]
    assert list(found) == ["mailbox/mailbox.json", "contacts/contacts.json", *mails]
    header, _, body = found[mails[0]].partition(b"\n")
    assert body == BODY
    assert json.loads(header) == {
        "message": small.messages[0].message_id,
        "folder": "sent",
        "flags": ["seen", "answered"],
        "received_minute": small.messages[0].received_minute,
        "size": 1000,
        "expires_at": 0,
        "scheme": "openpgp",
        "key_id": "f" * 40,
        "envelope": base64.b64encode(b"sealed envelope").decode(),
        "body_size": len(BODY),
    }
    assert found[mails[1]].partition(b"\n")[2] == large
    facts = json.loads(found["mailbox/mailbox.json"])
    assert facts["used_messages"] == 2
    assert {one["folder"]: one["sealed_name"] for one in facts["folders"]}[folder] == "c2VhbGVkIG5hbWU="
    assert json.loads(found["contacts/contacts.json"]) == {"sealed": "c2VhbGVkIGNvbnRhY3Rz", "version": 1}


async def test_an_export_of_many_is_read_page_by_page(storage: Storage) -> None:
    mails = [storage.mail(ALICE) for _ in range(230)]
    for start in range(0, 230, 50):
        await storage.append(*mails[start : start + 50])
    found = await exported(storage, ALICE, "member_mail")
    assert list(found) == [f"member_mail/{mail.messages[0].message_id}" for mail in mails]


async def test_a_disclosure_holds_the_mail_of_its_time_and_nothing_else(storage: Storage) -> None:
    mails = [storage.mail(ALICE) for _ in range(6)]
    await storage.append(*mails)
    await storage.graph.parts.objects.put(ALICE, "contacts", Object(b"sealed contacts", 0))
    times = [int(mail.messages[0].message_id[:10], 16) for mail in mails]
    wanted = Wanted(since=times[1], until=times[4], disclosure=True)
    found = await exported(storage, ALICE, wanted=wanted)
    assert list(found) == [f"member_mail/{mail.messages[0].message_id}" for mail in mails[1:4]]


async def test_who_has_no_mailbox_has_nothing_here(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE))
    assert await exported(storage, "") == {}
    done = await storage.graph.owner.erase(Subject(ACCOUNT), 100)
    assert (done.classes, done.more) == ({}, False)
    assert (await storage.graph.owner.inventory())["erased_mailbox"] == Count(0)


async def test_a_mail_that_is_deleted_while_it_is_exported_tears_the_export(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(700_000))
    await storage.append(mail)
    items: list[Item] = []
    async for _, item in storage.graph.owner.export(Subject(ACCOUNT, ALICE), ["member_mail"], Wanted()):
        items.append(item)
        await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
        await storage.recover()
        with pytest.raises(Exception, match=r"^export_torn$"):
            [block async for block in item.content]
    assert len(items) == 1
