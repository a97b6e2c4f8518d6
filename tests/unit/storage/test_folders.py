"""Folders that owners make."""

from __future__ import annotations

import asyncio

import pytest

from libs.docstore.store import Patch, Query
from libs.runtime.errors import ExhaustedError, InvalidError, NotFoundError
from services.storage import domain, folders
from services.storage.domain import Change
from services.storage.repository import FOLDERS, MESSAGES, message_key
from tests.unit.storage.support import Storage, make_storage

ALICE = "alice"
SYSTEM = list(domain.SYSTEM_FOLDERS)


async def test_a_mailbox_has_six_folders_and_its_own(storage: Storage) -> None:
    put = storage.graph.parts.folders.put
    first, second = await put(ALICE, "", b"one"), await put(ALICE, "", b"two")
    await put(ALICE, first, b"renamed")
    mailbox = await storage.mailbox(ALICE)
    assert [folder.folder_id for folder in mailbox.folders] == [*SYSTEM, first, second]
    assert [folder.sealed_name for folder in mailbox.folders] == [*[b""] * 6, b"renamed", b"two"]
    assert [folder.folder_id for folder in (await storage.mailbox("bob")).folders] == SYSTEM


@pytest.mark.parametrize(
    ("folder_id", "name", "kind", "reason"),
    [
        ("", b"", InvalidError, "sealed_name"),
        ("", b"x" * 1025, InvalidError, "sealed_name"),
        ("inbox", b"x", InvalidError, "folder_reserved"),
        ("unknown", b"x", NotFoundError, "folder"),
    ],
)
async def test_a_bad_folder_is_refused(
    storage: Storage, folder_id: str, name: bytes, kind: type[Exception], reason: str
) -> None:
    with pytest.raises(kind, match=f"^{reason}$"):
        await storage.graph.parts.folders.put(ALICE, folder_id, name)


async def test_there_are_200_at_most_also_at_the_same_time(storage: Storage) -> None:
    put = storage.graph.parts.folders.put
    for _ in range(198):
        await put(ALICE, "", b"x" * 1024)
    outcomes = await asyncio.gather(*[put(ALICE, "", b"x") for _ in range(4)], return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 2
    assert sum(isinstance(outcome, ExhaustedError) for outcome in outcomes) == 2
    assert len((await storage.mailbox(ALICE)).folders) == 206


async def test_a_deleted_folder_gives_its_mail_to_the_inbox(storage: Storage) -> None:
    own = storage.graph.parts.folders
    folder_id = await own.put(ALICE, "", b"name")
    mails = [storage.mail(ALICE, folder=folder_id) for _ in range(5)]
    await storage.append(*mails)
    await storage.graph.parts.mailboxes.update(ALICE, [mails[0].messages[0].message_id], Change(add=domain.SEEN))
    assert await own.delete(ALICE, folder_id) == 5
    mailbox = await storage.mailbox(ALICE)
    assert [folder.folder_id for folder in mailbox.folders] == SYSTEM
    assert (mailbox.folders[0].messages, mailbox.folders[0].unseen) == (5, 4)
    assert len(await storage.ids(ALICE, "inbox")) == 5
    for action in (own.delete(ALICE, folder_id), own.put(ALICE, folder_id, b"x")):
        with pytest.raises(NotFoundError, match=r"^folder$"):
            await action


async def test_the_six_cannot_be_deleted(storage: Storage) -> None:
    with pytest.raises(InvalidError, match=r"^folder_reserved$"):
        await storage.graph.parts.folders.delete(ALICE, "trash")
    with pytest.raises(NotFoundError, match=r"^folder$"):
        await storage.graph.parts.folders.delete(ALICE, "unknown")


async def test_the_rest_of_a_large_folder_follows(storage: Storage) -> None:
    own = storage.graph.parts.folders
    folder_id = await own.put(ALICE, "", b"name")
    await storage.append(*[storage.mail(ALICE, folder=folder_id) for _ in range(2050)])
    assert await own.delete(ALICE, folder_id) == 2000
    # Another process goes on, for this one might have died here.
    other = make_storage(storage.store, storage.clock)
    storage.clock.advance(folders.CLOSING_SECONDS)
    while await other.graph.parts.folders.sweep():
        pass
    assert len(await storage.ids(ALICE, "inbox")) == 2050
    assert (await storage.mailbox(ALICE)).folders[0].messages == 2050


async def test_a_mail_that_was_under_way_into_a_deleted_folder_is_found(storage: Storage) -> None:
    own = storage.graph.parts.folders
    folder_id, kept = await own.put(ALICE, "", b"name"), await own.put(ALICE, "", b"kept")
    mail = storage.mail(ALICE)
    await storage.append(mail)
    await own.delete(ALICE, folder_id)
    # As if the move had looked at the folder before it was deleted.
    key = message_key(ALICE, mail.messages[0].message_id)
    await storage.store.write(Patch(MESSAGES, key, {"folder": folder_id, "shelf": folder_id}))
    for _ in range(3):
        storage.clock.advance(folders.CLOSING_SECONDS)
        await own.sweep()
    assert len(await storage.ids(ALICE, "inbox")) == 1
    assert await storage.store.find(Query(FOLDERS, "work_at")) == []
    assert list(await own.names(ALICE)) == [kept]


async def test_a_mailbox_without_own_folders_leaves_no_document(storage: Storage) -> None:
    own = storage.graph.parts.folders
    await own.delete(ALICE, await own.put(ALICE, "", b"name"))
    storage.clock.advance(folders.CLOSING_SECONDS)
    await own.sweep()
    assert await storage.store.get(FOLDERS, ALICE) is None
