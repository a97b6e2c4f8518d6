"""What is deleted is gone from the files, index fields and write-ahead log included."""

from __future__ import annotations

from pathlib import Path

from libs.runtime.ids import new_id
from tests.unit.storage.support import open_storage


def found(directory: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_nothing_of_a_deleted_mail_is_left_in_the_files(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        alice = new_id()
        mails = {
            "small": storage.mail(alice, envelope=b"envelope of small", body=b"body of small" * 10),
            "large": storage.mail(alice, envelope=b"envelope of large", body=b"body of large" * 50_000),
            "trimmed": storage.mail(alice, envelope=b"envelope of trimmed", keep_newest=2),
            "expired": storage.public_mail(alice, seconds=60),
        }
        await storage.append(storage.mail(new_id(), envelope=b"another"), *mails.values())
        for name in ("small", "large"):
            assert found(tmp_path, f"body of {name}".encode())
        ids = [mails[name].messages[0].message_id for name in ("small", "large", "trimmed")]
        assert await storage.graph.parts.mailboxes.delete(alice, ids) == []
        await storage.recover()
        assert await storage.expire() == 1
        await storage.recount()
        await storage.store.clear_events(await storage.events())
        await storage.store.compact()
        for mail in mails.values():
            assert not found(tmp_path, mail.messages[0].message_id.encode())
            assert not found(tmp_path, mail.messages[0].envelope)
            assert not found(tmp_path, mail.delivery_id.encode())
        for name in ("small", "large"):
            assert not found(tmp_path, f"body of {name}".encode())
        assert not found(tmp_path, alice.encode())
