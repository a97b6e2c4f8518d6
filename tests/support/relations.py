"""Everything that a platform has kept or said, cut into the pieces that can relate one thing to another.

A piece is a document, an event, a message, a line of a log or of a page of metrics: what stands in it stands together.
Documents' sealed fields are opened where delivery's keys open them. A search in it is for any of the forms in which a
recipient could be named: the address, its keyed hashes, its pseudonym.
"""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from libs.docstore.values import decode_body
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault, place_of
from libs.runtime.errors import SealpostError
from libs.runtime.secret import Secret
from services.delivery.customers.marks import Marks
from tests.support.ledger_procs import metrics, pids
from tests.support.platform import RunningPlatform


@dataclass(frozen=True)
class Piece:
    """What stands together; `place` says where, in a form without anything of its own."""

    place: str
    content: bytes


def vault_of(platform: RunningPlatform) -> Vault:
    """Return what opens what delivery has sealed."""
    return Vault(KeyEncryptionKeys.from_file(Secret(_key(platform, "delivery", "kek"))))


def names_of(platform: RunningPlatform, account_id: str, address: str, pseudonym: int) -> list[bytes]:
    """Return the forms in which a recipient could be named, in small letters."""
    raw = [address.encode(), pseudonym.to_bytes(8, "little"), pseudonym.to_bytes(8, "big")]
    for service in ("accounts", "crypto", "delivery"):
        hashes = KeyedHash(Secret(bytes.fromhex(_key(platform, service, "lookup_key").decode().strip())))
        marks = Marks(hashes)
        raw += [bytes.fromhex(mark) for mark in (marks.suppression(account_id, address), marks.uncounted(address))]
        raw += [hashes.digest(purpose, address.encode()) for purpose in ("address", "recipient", "response", "open")]
    written = [form for one in raw for form in (one, one.hex().encode(), base64.b64encode(one)[:-2])]
    return [one.lower() for one in (*written, str(pseudonym).encode())]


def pieces(platform: RunningPlatform, captured: Path, vault: Vault) -> Iterator[Piece]:
    """Yield all there is by now: stores, messages of NATS as they were `captured`, logs, metrics."""
    for path in sorted((platform.home / "data").rglob("*.db")):
        yield from documents(path, vault)
    for path in sorted(captured.glob("nats~*")):
        for message in re.split(rb"\n(?=[a-z]+\.[a-z0-9.]+\n|\$JS\.)", path.read_bytes()):
            yield Piece(f"nats {message[:5].decode(errors='replace')}", message)
    for path in sorted(platform.home.rglob("*.log*")):
        for line in path.read_bytes().splitlines():
            yield Piece(f"log {path.name}", line)
    for printed in platform.output:
        yield Piece("output", printed.encode())
    for name in pids(platform):
        if name != "nats":
            for shown in metrics(platform, name).splitlines():
                yield Piece(f"metrics {name}", shown.encode())


def documents(path: Path, vault: Vault) -> Iterator[Piece]:
    """Yield every row of every table of a store."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            cursor = store.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name of the schema's own
            columns = [one[0] for one in cursor.description]
            for row in cursor:
                cells = [one if isinstance(one, bytes) else str(one).encode() for one in row]
                opened = _opened(table, dict(zip(columns, row, strict=True)), vault)
                yield Piece(f"{path.parent.name}/{table}", b"\n".join([*cells, *opened]))


def holding(found: Iterable[Piece], names: Sequence[bytes]) -> list[Piece]:
    """Return the pieces in which somebody is named."""
    return [one for one in found if any(name in one.content.lower() for name in names)]


def _opened(table: str, row: dict[str, object], vault: Vault) -> Iterator[bytes]:
    body, key = row.get("body"), str(row.get("key"))
    if not isinstance(body, bytes):
        return
    collection = table.removeprefix("c_")
    for name, value in decode_body(body).items():
        if isinstance(value, bytes):
            try:
                yield vault.open(place_of(collection, key, name), value)
            except SealpostError:
                continue


def _key(platform: RunningPlatform, service: str, name: str) -> bytes:
    return (platform.home / "secrets" / service / name).read_bytes()
