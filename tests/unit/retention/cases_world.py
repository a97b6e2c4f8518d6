"""Disclosure cases on a store in a file, with owners, accounts and letters in memory."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyEncryptionKeys
from libs.owner.model import Subject
from libs.policy.terms import Version
from libs.runtime.errors import NotFoundError, UnavailableError
from libs.runtime.secret import Secret
from protos.retention.v1 import retention_pb2 as pb
from services.retention.cases_rpc import CasesRpc
from services.retention.domain.cases import Disclosable
from services.retention.domain.cases_archive import Archives
from services.retention.domain.cases_book import Cases, Tools
from services.retention.domain.cases_duty import CaseDuty
from services.retention.domain.cases_seal import CaseKeys
from services.retention.domain.ports import EraseAnswer, ExportWanted, Held, Part, SweepAnswer
from services.retention.domain.transparency import Transparency
from services.retention.ledger.entries import Data, Entry
from services.retention.ledger.ledger import LEDGER, Ledger
from services.retention.owners.cases import DisclosureCases
from services.retention.repository.cases import CASES, CaseRepository
from services.retention.repository.transparency import HALF_YEARS, HalfYearRepository
from tests.support.clock import ManualClock
from tests.unit.retention.versions_world import DAY, Post, Time

ADA = Subject("a1" * 16, "b1" * 16)
ADDRESS = "ada@sealpost.test"
REFERENCE = "Az. 12 Gs 345/26"
FIRST, SECOND, THIRD = "f1" * 16, "f2" * 16, "f3" * 16
RULES = {"case_seconds": 3 * 365 * DAY, "case_lapse_seconds": 14 * DAY}
ALLOWED = Disclosable(
    frozenset({"court_order"}),
    {"member_mail": "storage", "account": "accounts"},
    {"member_mail": None, "account": frozenset({"address", "created_day"})},
)


def mail(name: str, body: bytes = b"\xc1\x84sealed", scheme: str = "openpgp") -> list[Part]:
    """Return a stored message as storage gives it, in two parts."""
    head = json.dumps({"message": name, "scheme": scheme}).encode() + b"\n"
    return [Part("member_mail", name, "mail", head, False), Part("", "", "", body, True)]


def facts(**values: object) -> list[Part]:
    """Return facts of an account as accounts gives them."""
    return [Part("account", "account.json", "json", json.dumps(values).encode(), True)]


@dataclass
class Owner:
    """domain.ports.DataOwner, of which only the export is used."""

    service: str
    parts: list[Part] = field(default_factory=list)
    asked: list[tuple[Subject, ExportWanted]] = field(default_factory=list)
    breaks_after: int | None = None

    async def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """See DataOwner."""
        self.asked.append((subject, wanted))
        for position, part in enumerate(self.parts):
            if position == self.breaks_after:
                raise UnavailableError("owner_down")
            yield part

    async def inventory(self) -> Sequence[Held]:
        """See DataOwner."""
        raise NotImplementedError

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """See DataOwner."""
        raise NotImplementedError

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """See DataOwner."""
        raise NotImplementedError

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """See DataOwner."""
        raise NotImplementedError

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """See DataOwner."""
        raise NotImplementedError


class Directory:
    """domain.cases.Subjects with one account."""

    async def find(self, address: str) -> Subject:
        """See Subjects."""
        if address != ADDRESS:
            raise NotFoundError("account_not_found")
        return ADA


class Numbers:
    """domain.ports.Numbers."""

    def rule(self, name: str, version: int = 0) -> int:
        """See Numbers."""
        return RULES[name]


class Evidence(Ledger):
    """The ledger, which may be down."""

    down = False

    async def append(self, kind: str, data: Data, once: str = "") -> Entry:
        """See Ledger."""
        if self.down:
            raise UnavailableError("ledger")
        return await super().append(kind, data, once)


class World:
    """One installation."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        """Use a store that was opened with what cases need."""
        self.store = store
        self.clock = clock
        self.time = Time(clock)
        self.post = Post()
        self.ledger = Evidence(store, clock)
        self.storage = Owner("storage", mail("0001") + mail("0002"))
        self.accounts = Owner("accounts", facts(address=ADDRESS, created_day=20000, quota=7))
        self.repository = CaseRepository(store)
        self.transparency = Transparency(HalfYearRepository(store))
        self.held = DisclosureCases(store, Numbers(), clock)
        self.tools = Tools(
            store=self.repository,
            subjects=Directory(),
            allowed=self._allowed,
            keys=CaseKeys(KeyEncryptionKeys({1: Secret(bytes(range(32)))})),
            evidence=self.ledger,
            counting=self.transparency,
            numbers=Numbers(),
            time=self.time,
        )
        self.cases = Cases(self.tools)
        owners = {"storage": self.storage, "accounts": self.accounts}
        self.rpc = CasesRpc(self.cases, self.tools, Archives(self.cases, owners, clock), self.transparency)
        self.duty = CaseDuty(self.cases, self.repository, self.post, Numbers(), self.time)

    @classmethod
    async def open(cls, directory: Path) -> World:
        """Begin with nothing."""
        return cls(await SqliteStore.open(directory / "store.db", (CASES, HALF_YEARS, LEDGER)), ManualClock())

    async def _allowed(self) -> Disclosable:
        return ALLOWED

    def request(self, **changes: object) -> pb.OpenCaseRequest:
        """Return what opens a case."""
        now = self.time.now()
        given: dict[str, object] = {
            "officer": FIRST,
            "order_reference": REFERENCE,
            "legal_basis": "court_order",
            "address": ADDRESS,
            "since": now - 30 * DAY,
            "until": now,
            "data_classes": ["member_mail", "account"],
        }
        return pb.OpenCaseRequest(**(given | changes))  # type: ignore[arg-type]

    async def opened(self, **changes: object) -> str:
        """Open a case; return its id."""
        return (await self.rpc.open(self.request(**changes))).case_id

    async def approved(self, **changes: object) -> str:
        """Open a case and have it approved; return its id."""
        case_id = await self.opened(**changes)
        await self.rpc.approve(ask(SECOND, case_id))
        return case_id

    async def archive(self, case_id: str, officer: str = SECOND) -> bytes:
        """Return the archive of a case."""
        return b"".join([part.data async for part in self.rpc.export(ask(officer, case_id))])

    async def entries(self) -> list[tuple[str, dict[str, str | int]]]:
        """Return kind and data of all entries of the ledger."""
        return [(one.kind, dict(one.data)) for one in await self.ledger.read(1, 1000)]

    async def kinds(self) -> list[str]:
        """Return the kinds of all entries of the ledger."""
        return [kind for kind, _ in await self.entries()]

    async def counts(self) -> dict[str, int]:
        """Return what is counted of this half-year."""
        (half,) = await self.transparency.report(self.time.now())
        return {name: count for name, count in half.counts.items() if count}


def ask(officer: str, case_id: str) -> pb.CaseRequest:
    """Return a request about a case."""
    return pb.CaseRequest(officer=officer, case_id=case_id)


def members(archive: bytes) -> dict[str, bytes]:
    """Return the members of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}
