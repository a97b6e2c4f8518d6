"""Listing, reading, flagging, moving and deleting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.storage import domain
from services.storage.domain import Change
from tests.unit.storage.support import Fault, FaultyStore, Storage, make_storage, open_storage, some_bytes

ALICE, BOB = "alice", "bob"
SEEN, FLAGGED = domain.FLAGS["seen"], domain.FLAGS["flagged"]


async def fill(storage: Storage, mailbox_id: str, count: int, **fields: object) -> list[str]:
    """Store `count` mails; return their ids, newest first."""
    mails = [storage.mail(mailbox_id, **fields) for _ in range(count)]
    assert set(await storage.append(*mails)) == {"ok"}
    return [mail.messages[0].message_id for mail in reversed(mails)]


def folder_counts(mailbox: domain.Mailbox) -> dict[str, tuple[int, int]]:
    return {folder.folder_id: (folder.messages, folder.unseen) for folder in mailbox.folders if folder.messages}


async def test_a_list_is_newest_first_in_pages(storage: Storage) -> None:
    ids = await fill(storage, ALICE, 7)
    await fill(storage, BOB, 2)
    mailboxes = storage.graph.parts.mailboxes
    seen: list[list[str]] = []
    cursor = ""
    while True:
        page = await mailboxes.list_messages(ALICE, "", 3, cursor)
        seen.append([message.message_id for message in page.messages])
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [ids[:3], ids[3:6], ids[6:]]


async def test_a_full_last_page_has_no_cursor(storage: Storage) -> None:
    await fill(storage, ALICE, 3)
    assert (await storage.graph.parts.mailboxes.list_messages(ALICE, "", 3, "")).next_cursor == ""
    assert (await storage.graph.parts.mailboxes.list_messages("nobody", "", 3, "")).messages == []


async def test_paging_goes_on_where_it_was_while_mail_comes_and_goes(storage: Storage) -> None:
    ids = await fill(storage, ALICE, 6)
    mailboxes = storage.graph.parts.mailboxes
    first = await mailboxes.list_messages(ALICE, "", 3, "")
    await fill(storage, ALICE, 2)
    await mailboxes.delete(ALICE, [ids[2], ids[3]])
    second = await mailboxes.list_messages(ALICE, "", 3, first.next_cursor)
    assert [message.message_id for message in second.messages] == ids[4:]


async def test_a_folder_lists_only_its_own(storage: Storage) -> None:
    junk = await fill(storage, ALICE, 2, folder="junk")
    inbox = await fill(storage, ALICE, 2)
    assert await storage.ids(ALICE, "junk") == junk
    assert await storage.ids(ALICE, "inbox") == inbox
    assert await storage.ids(ALICE) == inbox + junk


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((ALICE, "", 201, ""), "limit"),
        ((ALICE, "", 0, "nonsense"), "cursor"),
        ((ALICE, "../x", 0, ""), "folder"),
        (("a/b", "", 0, ""), "mailbox_id"),
    ],
)
async def test_a_bad_list_request_is_refused(
    storage: Storage, arguments: tuple[str, str, int, str], reason: str
) -> None:
    with pytest.raises(InvalidError, match=f"^{reason}$"):
        await storage.graph.parts.mailboxes.list_messages(*arguments)


async def test_anothers_message_does_not_exist(storage: Storage) -> None:
    (message_id,) = await fill(storage, BOB, 1)
    mailboxes = storage.graph.parts.mailboxes
    for mailbox_id, one in ((ALICE, message_id), (BOB, new_id()), (BOB, "x"), (BOB, "")):
        with pytest.raises(NotFoundError, match=r"^message$"):
            await mailboxes.get(mailbox_id, one)
        with pytest.raises(NotFoundError, match=r"^message$"):
            await mailboxes.read(mailbox_id, one)
    assert await mailboxes.update(ALICE, [message_id, "x"], Change(add=SEEN)) == ["x", message_id]
    assert await mailboxes.delete(ALICE, [message_id]) == [message_id]
    assert await storage.ids(BOB) == [message_id]


async def test_flags_count_once_however_often_they_are_set(storage: Storage) -> None:
    first, second = await fill(storage, ALICE, 2)
    mailboxes = storage.graph.parts.mailboxes
    for _ in range(2):
        assert await mailboxes.update(ALICE, [first, first], Change(add=SEEN | FLAGGED)) == []
    assert (await mailboxes.get(ALICE, first)).flags == ("seen", "flagged")
    assert folder_counts(await storage.mailbox(ALICE)) == {"inbox": (2, 1)}
    await mailboxes.update(ALICE, [first, second], Change(remove=SEEN))
    assert (await mailboxes.get(ALICE, first)).flags == ("flagged",)
    assert folder_counts(await storage.mailbox(ALICE)) == {"inbox": (2, 2)}


async def test_a_move_takes_the_counters_along(storage: Storage) -> None:
    ids = await fill(storage, ALICE, 3)
    mailboxes = storage.graph.parts.mailboxes
    assert await mailboxes.update(ALICE, ids[:2], Change(add=SEEN, move_to="archive")) == []
    assert folder_counts(await storage.mailbox(ALICE)) == {"inbox": (1, 1), "archive": (2, 0)}
    assert await storage.ids(ALICE, "archive") == ids[:2]
    assert await storage.ids(ALICE) == ids
    assert (await storage.mailbox(ALICE)).used_bytes == 3000


async def test_changes_at_the_same_time_are_all_counted(storage: Storage) -> None:
    ids = await fill(storage, ALICE, 20)
    mailboxes = storage.graph.parts.mailboxes
    await asyncio.gather(
        *[mailboxes.update(ALICE, ids, Change(add=SEEN)) for _ in range(5)],
        *[mailboxes.update(ALICE, ids[:10], Change(move_to="trash")) for _ in range(5)],
    )
    await asyncio.gather(*[mailboxes.delete(ALICE, ids[5:15]) for _ in range(5)])
    assert folder_counts(await storage.mailbox(ALICE)) == {"inbox": (5, 0), "trash": (5, 0)}
    assert (await storage.mailbox(ALICE)).used_messages == 10


@pytest.mark.parametrize(("folder", "kind"), [("nowhere", NotFoundError), ("../x", InvalidError)])
async def test_nothing_moves_to_a_folder_that_is_not_there(
    storage: Storage, folder: str, kind: type[Exception]
) -> None:
    ids = await fill(storage, ALICE, 1)
    with pytest.raises(kind, match=r"^folder$"):
        await storage.graph.parts.mailboxes.update(ALICE, ids, Change(move_to=folder))
    assert await storage.ids(ALICE, "inbox") == ids


async def test_at_most_200_at_once(storage: Storage) -> None:
    mailboxes = storage.graph.parts.mailboxes
    with pytest.raises(InvalidError, match=r"^message_ids$"):
        await mailboxes.update(ALICE, [new_id()] * 201, Change(add=SEEN))
    with pytest.raises(InvalidError, match=r"^message_ids$"):
        await mailboxes.delete(ALICE, [new_id()] * 201)


async def test_deleting_gives_room_back(storage: Storage) -> None:
    mail = storage.mail(ALICE, quota_messages=1)
    await storage.append(mail)
    assert await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id]) == []
    assert (await storage.mailbox(ALICE)).used_bytes == 0
    assert await storage.append(storage.mail(ALICE, quota_messages=1)) == ["ok"]


async def test_a_grave_is_forgotten_after_a_quarter_of_an_hour(storage: Storage) -> None:
    (message_id,) = await fill(storage, ALICE, 1)
    await storage.graph.parts.mailboxes.delete(ALICE, [message_id])
    storage.clock.advance(minutes=16)
    assert await storage.graph.recovery.step() == 1
    assert await storage.graph.recovery.step() == 0


async def test_an_expired_mail_is_gone_even_before_it_is_swept(storage: Storage) -> None:
    await storage.append(storage.public_mail(ALICE, seconds=60))
    (message_id,) = await storage.ids(ALICE)
    storage.clock.advance(61)
    assert await storage.ids(ALICE) == []
    with pytest.raises(NotFoundError):
        await storage.graph.parts.mailboxes.get(ALICE, message_id)


async def test_an_inbox_that_is_not_counted_is_counted_when_asked(storage: Storage) -> None:
    await storage.append(storage.public_mail(ALICE), storage.public_mail(ALICE))
    mailbox = await storage.mailbox(ALICE)
    assert (mailbox.used_bytes, mailbox.used_messages) == (2000, 2)
    assert folder_counts(mailbox) == {"inbox": (2, 2)}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("applied", ["nothing", "all"])
@pytest.mark.parametrize("what", ["update", "delete"])
async def test_a_fault_in_the_middle_leaves_counters_to_the_recount(
    tmp_path: Path, what: str, step: int, applied: str
) -> None:
    async with open_storage(tmp_path) as storage:
        ids = await fill(storage, ALICE, 3, body=some_bytes(10))
        failing = make_storage(FaultyStore(storage.store, Fault(step, applied, dies=False)), storage.clock)
        mailboxes = failing.graph.parts.mailboxes
        try:
            if what == "update":
                await mailboxes.update(ALICE, ids[:2], Change(add=SEEN, move_to="trash"))
            else:
                await mailboxes.delete(ALICE, ids[:2])
        except UnavailableError:
            assert step == 0
        await failing.recover()
        messages = await failing.listed(ALICE)
        expected: dict[str, tuple[int, int]] = {}
        for message in messages:
            count, unseen = expected.get(message.folder, (0, 0))
            expected[message.folder] = (count + 1, unseen + ("seen" not in message.flags))
        assert folder_counts(await failing.mailbox(ALICE)) == expected
        assert (await failing.mailbox(ALICE)).used_messages == len(messages)


async def test_a_disposable_inbox_has_folders_too(storage: Storage) -> None:
    await storage.append(*[storage.public_mail(ALICE) for _ in range(5)])
    ids = await storage.ids(ALICE)
    await storage.graph.parts.mailboxes.update(ALICE, ids[1:2], Change(move_to="junk", add=SEEN))
    assert await storage.ids(ALICE, "junk") == ids[1:2]
    assert await storage.ids(ALICE, "inbox") == ids[:1] + ids[2:]
    page = await storage.graph.parts.mailboxes.list_messages(ALICE, "inbox", 2, "")
    rest = await storage.graph.parts.mailboxes.list_messages(ALICE, "inbox", 2, page.next_cursor)
    assert [message.message_id for message in page.messages + rest.messages] == ids[:1] + ids[2:]
    assert rest.next_cursor == ""
    assert folder_counts(await storage.mailbox(ALICE)) == {"inbox": (4, 4), "junk": (1, 0)}
