"""Everything that is held about an account, as one archive: who holds it is asked, and what comes is passed on.

    README.txt                  what is what
    key/private-key.json        the private key as it is kept, wrapped under the password
    data/<service>/<class>/...  what each service holds, as JSON
    mail/sealed.mbox            all mail as it is stored, each one a message of PGP/MIME (RFC 3156, RFC 4155)
    manifest.json               the SHA-256 of each member, and which services could not be asked

Mail stays sealed: GnuPG opens it with the private key, and so does the page, which adds the open form itself. Of a mail
nothing is held here but the piece under way.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from libs.owner.archive import ArchiveStream
from libs.runtime.errors import SealpostError, UnavailableError
from protos.owner.v1 import owner_pb2 as pb

if TYPE_CHECKING:
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub

# Of one service, from beginning to end.
SECONDS = 1800.0
# Who is asked, in this order; storage comes last, since its mail makes one member.
SERVICES = ("accounts", "crypto", "delivery", "analytics", "billing", "retention", "storage")
# 48 bytes make a line of 64 characters (RFC 9580, 6.2).
_LINE = 48
_README = """This archive holds everything that this installation keeps about your account.

key/private-key.json   Your private key as it is kept here: wrapped under your password, which is not here.
                       On the page, under Settings, you can save it open, for GnuPG and other programs.
data/                  What each service keeps, one folder for each kind of data. Bytes are base64.
mail/sealed.mbox       Your mail as it is stored: sealed to your key. Programs that read PGP/MIME open it
                       once they have your private key. X-Sealpost-Folder names the folder of each mail.
manifest.json          The SHA-256 of each file, and what could not be had, if anything.
"""


@dataclass
class Export:
    """One export. `missing`: services that could not be asked, or broke off."""

    owners: Mapping[str, DataOwnerAsyncStub]
    subject: pb.Subject
    made: datetime
    missing: list[str] = field(default_factory=list)

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the archive, piece by piece."""
        archive = ArchiveStream(self.made)
        async for piece in archive.text("README.txt", _README.encode()):
            yield piece
        # An installation without billing has no such service to ask.
        for service in filter(self.owners.__contains__, SERVICES):
            async for piece in self._service(archive, service):
                yield piece
        manifest = {"made": self.made.isoformat(), "sha256": archive.digests, "missing": self.missing}
        async for piece in archive.text("manifest.json", json.dumps(manifest, indent=1).encode()):
            yield piece
        yield archive.end()

    async def _service(self, archive: ArchiveStream, service: str) -> AsyncIterator[bytes]:
        parts = _Parts(self.owners[service].Export(pb.ExportRequest(subject=self.subject), timeout=SECONDS))
        try:
            while (first := await parts.next_item()) is not None:
                if first.kind == "mail":
                    mails = archive.member("mail/sealed.mbox", _mailbox(parts, first))
                else:
                    mails = archive.member(_place(service, first), parts.rest(first))
                async for piece in mails:
                    yield piece
        except SealpostError:
            # The archive goes on without it, and says so.
            self.missing.append(service)


def _place(service: str, first: pb.ExportPart) -> str:
    if service == "accounts" and first.data_class == "account" and first.name == "private-key.json":
        return "key/private-key.json"
    return f"data/{service}/{first.data_class}/{first.name}"


class _Parts:
    """The parts of a service's answer, item by item."""

    def __init__(self, parts: AsyncIterable[pb.ExportPart]) -> None:
        self._parts = aiter(parts)
        self._ended = True

    async def next_item(self) -> pb.ExportPart | None:
        """Return the first part of the next item, None after the last one."""
        while not self._ended:
            part = await anext(self._parts, None)
            self._ended = part is None or part.last
        first = await anext(self._parts, None)
        self._ended = first is None or first.last
        return first

    async def rest(self, first: pb.ExportPart) -> AsyncIterator[bytes]:
        """Give the content of the item that `first` begins."""
        yield first.data
        while not self._ended:
            part = await anext(self._parts, None)
            if part is None:
                self._ended = True
                raise UnavailableError("export_torn")
            self._ended = part.last
            yield part.data


async def _mailbox(parts: _Parts, first: pb.ExportPart) -> AsyncIterator[bytes]:
    """Give this mail and all that follow it as one file; an item of another kind ends it, which none does."""
    current: pb.ExportPart | None = first
    while current is not None:
        async for piece in _message(parts.rest(current)):
            yield piece
        current = await parts.next_item()


async def _message(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give one stored mail as a message of PGP/MIME. `content`: a line of JSON, then the sealed body."""
    held = b""
    async for piece in content:
        held += piece
        if b"\n" in held:
            break
    line, _, body = held.partition(b"\n")
    header = json.loads(line)
    yield _head(header)
    if header["scheme"] == "openpgp":
        async for piece in _armored(body, content):
            yield piece
    else:
        async for piece in _base64(body, content):
            yield piece
    yield f"\n--{_BOUNDARY}--\n\n".encode()


_BOUNDARY = "sealpost-sealed-mail"


def _head(header: Mapping[str, object]) -> bytes:
    received = datetime.fromtimestamp(int(str(header["received_minute"])) * 60, UTC)
    flags = header.get("flags", [])
    lines = [
        f"From sealed@localhost {received:%a %b %d %H:%M:%S %Y}",
        f"Date: {format_datetime(received)}",
        "Subject: ...",
        f"Message-ID: <{header['message']}@sealed.invalid>",
        f"X-Sealpost-Folder: {header['folder']}",
        f"X-Sealpost-Flags: {' '.join(map(str, flags)) if isinstance(flags, list) else ''}",
        f"X-Sealpost-Envelope: {header['envelope']}",
        "MIME-Version: 1.0",
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";',
        f' boundary="{_BOUNDARY}"',
        "",
        f"--{_BOUNDARY}",
        "Content-Type: application/pgp-encrypted",
        "",
        "Version: 1",
        "",
        f"--{_BOUNDARY}",
        "Content-Type: application/octet-stream",
        "",
        "",
    ]
    return "\n".join(lines).encode()


async def _armored(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give OpenPGP packets in ASCII armor (RFC 9580, 6.2), without the optional checksum."""
    yield b"-----BEGIN PGP MESSAGE-----\n\n"
    async for piece in _base64(first, rest):
        yield piece
    yield b"-----END PGP MESSAGE-----\n"


async def _base64(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = first
    async for piece in rest:
        whole = len(held) // _LINE * _LINE
        yield _lines(held[:whole])
        held = held[whole:] + piece
    yield _lines(held)


def _lines(data: bytes) -> bytes:
    return b"".join(binascii.b2a_base64(data[start : start + _LINE]) for start in range(0, len(data), _LINE))
