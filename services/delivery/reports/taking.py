"""What follows when something comes to a return path.

The return path says which mail and, unless it stands for several, which recipient (domain.return_path). A failure is
noted as a happening, from which events, posts and suppressions follow, then told to the sender if he is a member, and
only then marked at the recipient: a report that comes again finds the mark and changes nothing, and one whose taking
was cut short is taken once more, with the same names for everything, before it is marked.

A report is a stranger's word, so it is believed about a recipient to whom the mail had been delivered, and of nobody
else. Where it names somebody to whom the mail had not been sent - it was forwarded there, perhaps - a member is told,
once a day for each mail, and nothing is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from libs.mail.envelope import read_date
from libs.mail.letter import Letter
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import UnavailableError
from services.delivery.domain.dsn import Dsn, Site, make_dsn
from services.delivery.domain.events import event_id_of
from services.delivery.domain.model import Profile, Recipient, State
from services.delivery.domain.ports import Happening, Happenings, Kind, Notices, Trace, Trails
from services.delivery.domain.queue import ReportKind, message_id_of
from services.delivery.domain.reports import Finding, Reading, read_report
from services.delivery.domain.reports import Kind as Came
from services.delivery.domain.return_path import ALL_RECIPIENTS, ReturnPaths

_DAY = 86400
_MAX_HEADER = 64 * 1024


class Taken(Enum):
    """What came of a report, for counting."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    REPEATED = "repeated"
    # About a copy that was forwarded: on its way to the sender of the mail.
    RETURNED = "returned"
    # About nobody of the mail.
    STRAY = "stray"
    TEMPORARY = "temporary"
    AUTOMATIC = "automatic"
    NOISE = "noise"
    # To no return path, or to that of a mail that is forgotten.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a report says of one recipient of the mail."""

    trace: Trace
    finding: Finding


@dataclass(frozen=True)
class ReportParts:
    """What reports are taken with."""

    paths: ReturnPaths
    trails: Trails
    happenings: Happenings
    notices: Notices
    site: Site
    clock: Clock


class Reports:
    """Takes reports."""

    def __init__(self, parts: ReportParts) -> None:
        """Take these."""
        self._parts = parts

    async def known(self, address: str) -> bool:
        """Tell whether reports are expected at an address. Raises: UnavailableError."""
        path = self._parts.paths.read(address)
        return path is not None and bool(await self._parts.trails.find(path.mail_id))

    async def take(self, address: str, content: bytes) -> Taken:
        """Take a mail that came to `address`; what follows from it is durable then.

        Raises: UnavailableError, where the report must come again.
        """
        path = self._parts.paths.read(address)
        traces = await self._parts.trails.find(path.mail_id) if path else ()
        if path is None or not traces:
            return Taken.UNKNOWN
        reading = read_report(content)
        if reading.kind not in (Came.FAILED, Came.COMPLAINED):
            return Taken(reading.kind.value)
        hits, strays = _match(path.index, traces, reading)
        if reading.kind is Came.COMPLAINED:
            return await self._complained([hit.trace for hit in hits])
        if any(hit.trace.state is State.QUEUED for hit in hits):
            # Its server was quicker than we in writing down that it has the mail.
            raise UnavailableError("not_settled")
        taken = await self._bounced([hit for hit in hits if hit.trace.state is State.DELIVERED], content)
        if hits:
            return taken
        return await self._stray(traces[0], strays)

    async def _complained(self, traces: Sequence[Trace]) -> Taken:
        told = [trace for trace in traces if trace.state in (State.DELIVERED, State.BOUNCED, State.EXPIRED)]
        if not told:
            return Taken.STRAY
        now = unix_seconds(self._parts.clock)
        await self._parts.happenings.note([_happening(trace, Kind.COMPLAINED, "", now) for trace in told])
        return Taken.COMPLAINED

    async def _bounced(self, hits: Sequence[_Hit], content: bytes) -> Taken:
        if not hits:
            return Taken.REPEATED
        now = unix_seconds(self._parts.clock)
        await self._parts.happenings.note(
            [_happening(hit.trace, _kind(hit.finding), hit.finding.status, now) for hit in hits]
        )
        first = hits[0].trace
        if _is_told(first):
            at = _written_at(content, first.submitted_at, now)
            await self._tell(first, [_recipient(hit.trace.address, hit.finding) for hit in hits], at, str(first.index))
        for hit in hits:
            await self._parts.trails.bounced(hit.trace.mail_id, hit.trace.index, hit.finding.status)
        return Taken.BOUNCED

    async def _stray(self, mail: Trace, findings: Sequence[Finding]) -> Taken:
        named = [_recipient(finding.addresses[0], finding) for finding in findings if finding.addresses]
        if named and _is_told(mail):
            day = unix_seconds(self._parts.clock) // _DAY * _DAY
            await self._tell(mail, named[:1], day, "stray")
        return Taken.STRAY

    async def _tell(self, mail: Trace, recipients: Sequence[Recipient], at: int, place: str) -> None:
        notice_id = message_id_of(mail.mail_id, f"late/{place}", at)
        # The mail itself is gone by now; this is enough to find it among those that were sent.
        header = f"Message-ID: {mail.message_id}\r\n".encode()
        dsn = Dsn(ReportKind.FAILURE, mail.mail_from, recipients, header, mail.submitted_at)
        content = make_dsn(dsn, self._parts.site, notice_id, self._parts.clock.now())
        await self._parts.notices.put(mail.account_id, notice_id, content)


def _match(index: int, traces: Sequence[Trace], reading: Reading) -> tuple[list[_Hit], list[Finding]]:
    """Return of whom of the mail the report speaks, each once, and what it says of others."""
    if index != ALL_RECIPIENTS:
        named = [trace for trace in traces if trace.index == index]
        return [_Hit(trace, reading.findings[0]) for trace in named], []
    by_address = {trace.address.lower(): trace for trace in traces}
    hits: dict[int, _Hit] = {}
    strays: list[Finding] = []
    for finding in reading.findings:
        found = [by_address[address] for address in finding.addresses if address in by_address][:1]
        if not found and finding.words:
            said = finding.words.lower()
            found = [trace for address, trace in by_address.items() if address in said]
        if not found and len(traces) == 1:
            found = list(traces)
        for trace in found:
            hits.setdefault(trace.index, _Hit(trace, finding))
        strays += [] if found else [finding]
    return list(hits.values()), strays


def _kind(finding: Finding) -> Kind:
    # Another server gave up after its own attempts: nothing is known against the address.
    return Kind.BOUNCED if finding.status.startswith("5") else Kind.EXPIRED


def _happening(trace: Trace, kind: Kind, status: str, now: int) -> Happening:
    return Happening(
        event_id=event_id_of(trace.mail_id, trace.index, kind),
        kind=kind,
        at=now,
        account_id=trace.account_id,
        profile=trace.profile,
        submission_id=trace.mail_id,
        campaign=trace.campaign,
        recipient=trace.address,
        status=status,
        terms=trace.terms,
    )


def _recipient(address: str, finding: Finding) -> Recipient:
    return Recipient(address, State.BOUNCED, status=finding.status, text=finding.text, host=finding.host)


def _is_told(trace: Trace) -> bool:
    return trace.profile is Profile.SEALED and bool(trace.mail_from)


def _written_at(content: bytes, since: int, now: int) -> int:
    """Return when a report says it was written, if that may be, else now: the same when the report comes again."""
    date = read_date(Letter(bytearray(content[:_MAX_HEADER])).fields.first(b"date"))
    if date is None:
        return now
    at = int(datetime.fromisoformat(date).timestamp())
    return at if max(since, now - _DAY) <= at <= now else now
