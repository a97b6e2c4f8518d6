"""The archive of a case, made while it is handed over: nothing of it is ever on a disk, or whole in memory.

    README.txt              what is what
    case.json               what was ordered, and until when items were looked for
    facts/<class>/<name>    facts of the account, of those that the policy in force names
    mail/<class>/<name>     messages as they are stored: one line of JSON, then the sealed body
    manifest.json           the SHA-256 of each member

Owners leave out what must not be disclosed. It is looked at here once more, and by other rules: classes that were not
ordered, facts that the policy does not name, names that sound of passwords or keys, and mail that is not sealed. A fact
that is not named is left out; anything else ends the archive, for then an owner is not what it should be.

The last bytes, without which no program takes it for an archive, follow after the ledger knows the hash of everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from libs.owner.archive import ArchiveStream
from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError, InternalError, UnavailableError
from services.retention.domain.cases import Case, Disclosable, Order
from services.retention.domain.cases_book import Archived, Cases
from services.retention.domain.ports import DataOwner, ExportWanted, Part

_MOST_ITEMS = 200_000
_FACT_BYTES = 1 << 20
_HEAD_BYTES = 64 << 10
_PIECE_BYTES = 64 << 10
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
# Nothing of these is a fact about anybody, whatever a policy may say.
_NEVER = re.compile(r"passw|verif|secret|key|token|salt|kdf|recover|credential|hash|session|code", re.IGNORECASE)
_SCHEMES = ("openpgp", "aes-256-gcm")
_README = """Disclosure in answer to a legal order.

case.json       What was ordered: the reference, the legal basis, the account, the period and the classes of data.
facts/          Facts about the account. There are no others than these that the published policy allows.
mail/           Messages as they are stored. Each file is one line of JSON (when it came in, its size, how it is sealed,
                the sealed envelope in base64), then the sealed body. Messages of scheme "openpgp" are encrypted to a
                key that only the owner of the account has: whoever hands over this archive cannot read them either.
manifest.json   The SHA-256 of every other file. The SHA-256 of the manifest itself stands in the public ledger of
                evidence of this installation, under the number of this case.
"""


@dataclass(frozen=True)
class Archives:
    """Makes archives. `owners` by service."""

    cases: Cases
    owners: Mapping[str, DataOwner]
    clock: Clock

    async def stream(self, officer: str, case_id: str, allowed: Disclosable) -> AsyncIterator[bytes]:
        """Give the archive of an approved case.

        Raises: as Cases.begin_export, and InternalError("disclosure_forbidden"), ExhaustedError("too_many_items"),
        UnavailableError; then what was given is no archive.
        """
        case, order = await self.cases.begin_export(officer, case_id)
        digest, size, held = sha256(), 0, b""
        making = _Making(case, order, allowed, self.clock.now())
        async for piece in making.stream(self.owners):
            held += piece
            if len(held) >= _PIECE_BYTES:
                digest.update(held)
                size += len(held)
                yield held
                held = b""
        held += making.end()
        digest.update(held)
        await self.cases.end_export(case_id, Archived(size + len(held), digest.digest(), making.manifest))
        yield held


class _Making:
    """One archive under way."""

    def __init__(self, case: Case, order: Order, allowed: Disclosable, made: datetime) -> None:
        self._case = case
        self._order = order
        self._allowed = allowed
        self._archive = ArchiveStream(made)
        self._made = made
        self._items = 0
        self.manifest = b""

    async def stream(self, owners: Mapping[str, DataOwner]) -> AsyncIterator[bytes]:
        """Give everything but the end."""
        for name, content in (("README.txt", _README.encode()), ("case.json", self._about())):
            async for piece in self._archive.text(name, content):
                yield piece
        classes: dict[str, list[str]] = {}
        for data_class in self._order.data_classes:
            if data_class not in self._allowed.services:
                raise InternalError("disclosure_forbidden")
            classes.setdefault(self._allowed.services[data_class], []).append(data_class)
        for service, wanted in classes.items():
            async for piece in self._owner(owners[service], tuple(wanted)):
                yield piece
        manifest = json.dumps({"case": self._case.case_id, "sha256": self._archive.digests}, indent=1).encode()
        self.manifest = sha256(manifest).digest()
        async for piece in self._archive.text("manifest.json", manifest):
            yield piece

    def end(self) -> bytes:
        """Return the end."""
        return self._archive.end()

    async def _owner(self, owner: DataOwner, wanted: tuple[str, ...]) -> AsyncIterator[bytes]:
        asked = ExportWanted(wanted, self._order.since, self._order.until, disclosure=True)
        parts = aiter(owner.export(self._case.subject, asked))
        async for first in parts:
            self._items += 1
            if self._items > _MOST_ITEMS:
                raise ExhaustedError("too_many_items")
            if first.data_class not in wanted or not _NAME.match(first.name) or first.kind not in ("json", "mail"):
                raise InternalError("disclosure_forbidden")
            facts = self._allowed.facts[first.data_class]
            if first.kind == "mail":
                if facts is not None:
                    raise InternalError("disclosure_forbidden")
                sealed, name = _sealed(_rest(first, parts)), f"mail/{first.data_class}/{first.name}"
                async for piece in self._archive.member(name, sealed, packed=False):
                    yield piece
                continue
            content = _facts(await _whole(_rest(first, parts)), facts or frozenset())
            if content is not None:
                async for piece in self._archive.text(f"facts/{first.data_class}/{first.name}", content):
                    yield piece

    def _about(self) -> bytes:
        about = {
            "case": self._case.case_id,
            "order_reference": self._order.reference,
            "legal_basis": self._order.legal_basis,
            "address": self._order.address,
            "since": _time(self._case.since),
            "until": _time(self._case.until),
            "looked_for_until": _time(self._order.until),
            "data_classes": list(self._order.data_classes),
            "made": self._made.isoformat(),
        }
        return json.dumps(about, indent=1, ensure_ascii=False).encode()


async def _rest(first: Part, parts: AsyncIterator[Part]) -> AsyncIterator[bytes]:
    """Give the content of the item that `first` begins, and leave `parts` at the next."""
    yield first.data
    part = first
    while not part.last:
        following = await anext(parts, None)
        if following is None:
            raise UnavailableError("export_torn")
        part = following
        yield part.data


async def _whole(content: AsyncIterator[bytes]) -> bytes:
    whole = b""
    async for block in content:
        whole += block
        if len(whole) > _FACT_BYTES:
            raise InternalError("disclosure_forbidden")
    return whole


async def _sealed(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give a message, once its first line has said that it is sealed and its body looks it."""
    held = b""
    async for block in content:
        held += block
        if len(held.partition(b"\n")[2]) > 0 or len(held) > _HEAD_BYTES:
            break
    line, _, body = held.partition(b"\n")
    header = _object(line)
    # An OpenPGP message begins with a packet, whose first bit is set (RFC 9580, 4.2); no line of a mail does.
    open_pgp = header.get("scheme") == "openpgp"
    if header.get("scheme") not in _SCHEMES or (open_pgp and body and not body[0] & 0x80):
        raise InternalError("disclosure_forbidden")
    yield held
    async for block in content:
        yield block


def _facts(content: bytes, named: frozenset[str]) -> bytes | None:
    """Return those facts of `content` that are named, None where there are none."""
    found = _object(content)
    facts = {name: value for name, value in found.items() if name in named}
    if any(_NEVER.search(name) for name in _names(facts)):
        raise InternalError("disclosure_forbidden")
    return json.dumps(facts, indent=1, ensure_ascii=False).encode() if facts else None


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InternalError("disclosure_forbidden") from error
    if not isinstance(found, dict):
        raise InternalError("disclosure_forbidden")
    return found


def _names(value: object) -> list[str]:
    if isinstance(value, dict):
        return [name for key, inner in value.items() for name in (str(key), *_names(inner))]
    return [name for inner in value for name in _names(inner)] if isinstance(value, list) else []


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
