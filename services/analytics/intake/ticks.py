"""From what a tick has changed to the document that follows: plain values in, plain values out.

Terms: the first fact of a salt on a day begins its first term. After a loss of memory the next fact of each salt begins
another, for its units may count up to their bounds again; salts of which nothing comes any more cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from libs.envelope import seal
from libs.telemetry.metrics import OTHER
from protos.facts.v1.facts_pb2 import FactBatch
from services.analytics.domain.bounding import Used
from services.analytics.domain.counting import Counted
from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.intake import metrics
from services.analytics.intake.ports import Arrived
from services.analytics.intake.sequences import Sequences, Verdict
from services.analytics.partitions import Days, Heard, Record, Term, Totals
from services.analytics.partitions_keys import WindowKeys, counts_place

_DAYS_KEPT = 7
_MAX_WRITERS = 16


@dataclass(frozen=True)
class Change:
    """What a tick has done. `tick` None: nothing was counted, for the state is not in memory."""

    tick: Counted | None
    closed_until: int
    dropped: AbstractSet[Window]
    emitters: Mapping[int, Heard]
    lost: bool
    now: int


@dataclass
class Pending:
    """A commit under way.

    `record`: the document as it will be. `units`: what the log gets, None where no unit changed. `whole`: the log gets
    the whole state instead. `logged`: the connection in which it got it. `snapshot`: the place of that whole state.
    """

    record: Record
    units: Mapping[int, Used] | None
    whole: bool
    totals: Mapping[str, Totals]
    logged: int = 0
    snapshot: int | None = None
    waited: float = 0.0

    def seal(self, counts: Mapping[Window, bytes], keys: WindowKeys, waited: float) -> None:
        """Put the new counts of windows into the document, sealed. `waited`: seconds that facts were under way."""
        partition = self.record.partition
        sealed = {
            window: seal(keys.key(window), counts_place(partition, window), plain) for window, plain in counts.items()
        }
        self.record = replace(self.record, counts={**self.record.counts, **sealed})
        self.waited = waited


def accepted(arrived: Iterable[Arrived], sequences: Sequences, now: int) -> list[FactBatch]:
    """Return the batches that are to be counted now, in order."""
    batches = []
    for one in arrived:
        batch = FactBatch()
        try:
            batch.ParseFromString(one.data)
        except DecodeError:
            metrics.unreadable()
            continue
        if sequences.accept(batch.emitter, batch.sequence, batch.floor, now) is Verdict.COUNT:
            batches.append(batch)
    return batches


def next_record(record: Record, change: Change, writer: int, base: int) -> Pending:
    """Return the commit that `change` makes of `record`, its new counts not yet among them.

    `writer`: who writes the unit log from now on. `base`: the commit of the last whole state in it, 0 if unknown.
    """
    tick = change.tick or Counted({}, frozenset(), {}, frozenset())
    log, whole = _trimmed(record.log, base), change.lost
    commit = record.commit + (1 if tick.units or whole else 0)
    if commit > record.commit:
        whole = whole or len(log) >= _MAX_WRITERS
        if whole:
            log = ((commit, writer),)
        elif not log or log[-1][1] != writer:
            log = (*log, (commit, writer))
    totals = dict(record.totals)
    more = {
        metric or OTHER: Totals(fates.counted, fates.over_bound, fates.late, fates.malformed)
        for metric, fates in tick.fates.items()
    }
    for metric, added in more.items():
        totals[metric] = totals.get(metric, Totals()) + added
    follows = replace(
        record,
        commit=commit,
        log=log,
        closed_until=change.closed_until,
        emitters=change.emitters,
        days=_days(record.days, tick.days, change.now),
        totals=totals,
        counts={window: sealed for window, sealed in record.counts.items() if window not in change.dropped},
    )
    return Pending(follows, tick.units if commit > record.commit else None, whole, more)


def unknown_terms(days: Days) -> Days:
    """Return `days` after a loss of memory: the next fact of each salt begins a term."""
    return {day: {salt: replace(term, known=False) for salt, term in salts.items()} for day, salts in days.items()}


def _days(days: Days, heard: AbstractSet[tuple[int, int]], now: int) -> Days:
    changed = {day: dict(salts) for day, salts in days.items() if day >= now // DAY_SECONDS - _DAYS_KEPT}
    for day, salt in heard:
        term = changed.setdefault(day, {}).get(salt)
        if term is None:
            changed[day][salt] = Term()
        elif not term.known:
            changed[day][salt] = Term(term.number + 1)
    return changed


def _trimmed(log: Sequence[tuple[int, int]], base: int) -> tuple[tuple[int, int], ...]:
    """Return `log` without writers all of whose commits a whole state at `base` has made superfluous."""
    later = [*(first for first, _writer in log[1:]), base + 1]
    return tuple(entry for entry, until in zip(log, later, strict=False) if until > base)
