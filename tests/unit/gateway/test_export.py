"""The archive of an account: complete, readable by others, honest about what could not be had."""

from __future__ import annotations

import base64
import io
import json
import mailbox
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.errors import UnavailableError
from protos.owner.v1 import owner_pb2 as pb
from services.gateway.export import SERVICES, Export

_SUBJECT = pb.Subject(account_id="c" * 32, mailbox_id="a" * 32)
_NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Owner:
    """Gives these parts, then breaks off if told to."""

    def __init__(self, *parts: pb.ExportPart, error: Exception | None = None) -> None:
        self.parts, self.error = parts, error
        self.asked: list[pb.ExportRequest] = []

    def Export(self, request: pb.ExportRequest, timeout: float) -> AsyncIterator[pb.ExportPart]:
        self.asked.append(request)
        return self._stream()

    async def _stream(self) -> AsyncIterator[pb.ExportPart]:
        for part in self.parts:
            yield part
        if self.error is not None:
            raise self.error


def item(data_class: str, name: str, *pieces: bytes, kind: str = "json") -> list[pb.ExportPart]:
    """Return the parts of one item."""
    parts = [pb.ExportPart(data=piece) for piece in pieces]
    parts[0].data_class, parts[0].name, parts[0].kind = data_class, name, kind
    parts[-1].last = True
    return parts


def mail(number: int, body: bytes, *, folder: str = "inbox", cut: int = 10) -> list[pb.ExportPart]:
    """Return the parts of one mail, torn at `cut`."""
    header = {
        "message": f"{number:032x}", "folder": folder, "flags": ["seen"], "received_minute": 29_900_000,
        "size": 5, "scheme": "openpgp", "key_id": "f" * 40, "envelope": "AAAA",
    }  # fmt: skip
    whole = json.dumps(header).encode() + b"\n" + body
    return item("member_mail", f"{number:032x}", whole[:cut], whole[cut:], kind="mail")


async def export(**owners: Any) -> tuple[zipfile.ZipFile, Export]:
    """Return the archive."""
    all_of_them = {name: owners.get(name, Owner()) for name in SERVICES}
    made = Export(all_of_them, _SUBJECT, _NOW)
    sent = io.BytesIO()
    async for piece in made.stream():
        sent.write(piece)
    return zipfile.ZipFile(sent), made


async def test_everything_is_in_it_under_names_that_say_what_it_is() -> None:
    accounts = Owner(
        *item("account", "account.json", b'{"address"', b": 1}"), *item("account", "private-key.json", b"{}")
    )
    archive, _ = await export(accounts=accounts, delivery=Owner(*item("suppression", "list.json", b"[]")))
    assert archive.testzip() is None
    assert {
        "README.txt", "key/private-key.json", "data/accounts/account/account.json",
        "data/delivery/suppression/list.json", "manifest.json",
    } == set(archive.namelist())  # fmt: skip
    assert archive.read("data/accounts/account/account.json") == b'{"address": 1}'
    assert json.loads(archive.read("manifest.json"))["missing"] == []
    assert accounts.asked[0].subject == _SUBJECT
    assert not accounts.asked[0].disclosure


@pytest.mark.parametrize("cut", [1, 60, 230, 260])
async def test_mail_is_one_file_that_mail_programs_read(tmp_path: Path, cut: int) -> None:
    bodies = [bytes(range(256)) * 3, b"\xc1" * 48, b"\xc1" * 49]
    parts = [part for n, body in enumerate(bodies) for part in mail(n, body, folder=f"f{n}", cut=cut)]
    archive, _ = await export(storage=Owner(*parts))
    (tmp_path / "mbox").write_bytes(archive.read("mail/sealed.mbox"))
    read = mailbox.mbox(tmp_path / "mbox")
    assert len(read) == len(bodies)
    for number, (body, found) in enumerate(zip(bodies, read, strict=True)):
        assert found["X-Sealpost-Folder"] == f"f{number}"
        assert found.get_content_type() == "multipart/encrypted"
        _, version, sealed = found.walk()
        assert version.get_content_type() == "application/pgp-encrypted"
        armor = str(sealed.get_payload()).split("-----")
        assert base64.b64decode(armor[2]) == body
        assert all(len(line) <= 64 for line in armor[2].splitlines())
    read.close()


async def test_a_service_that_breaks_off_is_named_and_the_others_are_there() -> None:
    broken = Owner(*item("certificate", "certificate.json", b"{}"), error=UnavailableError("rpc"))
    archive, made = await export(crypto=broken, storage=Owner(*mail(1, b"\xc1")))
    assert archive.testzip() is None
    assert json.loads(archive.read("manifest.json"))["missing"] == ["crypto"] == made.missing
    assert "mail/sealed.mbox" in archive.namelist()


async def test_mail_that_breaks_off_in_the_middle_leaves_a_whole_archive() -> None:
    torn = mail(1, b"\xc1" * 1000)[:1]
    for error in (UnavailableError("rpc"), None):
        archive, made = await export(storage=Owner(*mail(0, b"\xc1"), *torn, error=error))
        assert archive.testzip() is None
        assert made.missing == ["storage"]
