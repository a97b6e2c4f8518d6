"""What the analytics of a platform holds: documents, opened with the platform's own keys, and names of units."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.docstore import open_store
from libs.envelope import KeyEncryptionKeys, open_sealed
from libs.events.jetstream import EventBus
from libs.events.salts import Salts
from libs.policy import load_policy
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from libs.runtime.secret import Secret
from libs.telemetry.facts import Facts
from services.analytics.domain.ports import Window
from services.analytics.graph import COLLECTIONS
from services.analytics.partitions import Partitions, Totals
from services.analytics.partitions_counts import decode_counts, sum_counts
from services.analytics.partitions_keys import WindowKeys, counts_place
from services.analytics.partitions_pending import terms_of
from tests.support.platform import RunningPlatform
from tests.support.watched import Cells, CutName


@dataclass(frozen=True)
class Held:
    """Counts that wait for their release, by window and cut; windows that have a key, or sealed counts; sums."""

    open: Mapping[Window, Mapping[CutName, Cells]]
    keyed: frozenset[Window]
    sealed: frozenset[Window]
    totals: Mapping[str, Totals]
    terms: int

    @property
    def facts(self) -> Counter[str]:
        """Return how many facts of each metric have been dealt with."""
        return Counter({metric: sum(totals.values) for metric, totals in self.totals.items()})


async def held(home: Path, hour_seconds: int) -> Held:
    """Read all of it."""
    keks = KeyEncryptionKeys.from_file(Secret((home / "secrets" / "analytics" / "kek").read_bytes()))
    store = await open_store(f"sqlite:{home / 'data' / 'analytics'}", "analytics", COLLECTIONS)
    try:
        records = list((await Partitions(store).read_all()).values())
        sealed = frozenset(window for record in records for window in record.counts)
        keys = WindowKeys(store, keks, hour_seconds)
        found = await keys.find(sealed)
        keyed = frozenset(await keys.over(1 << 40))
    finally:
        await store.close()
    opened: dict[Window, dict[CutName, Cells]] = {}
    for window, key in found.items():
        parts = [
            decode_counts(open_sealed(key, counts_place(record.partition, window), record.counts[window]))
            for record in records
            if window in record.counts
        ]
        opened[window] = {
            cut: Counter(dict(zip(cells.codes.tolist(), cells.counts.tolist(), strict=True)))
            for cut, cells in sum_counts(parts).items()
        }
    totals: dict[str, Totals] = {}
    for record in records:
        for metric, more in record.totals.items():
            totals[metric] = totals.get(metric, Totals()) + more
    terms = max((terms_of(records, window) for window in sealed), default=1)
    return Held(opened, keyed, sealed, totals, terms)


async def pseudonyms(platform: RunningPlatform, units: Iterable[str]) -> list[int]:
    """Return what these addresses of the network are known by today, with the salt as an emitter gets it."""
    home, clock = platform.home, SystemClock()
    port = json.loads((home / "nats.conf").read_text(encoding="utf-8"))["port"]
    password = Secret((home / "secrets" / "nats" / "ingest").read_text(encoding="ascii").strip())
    tls = TlsFiles(home / "tls" / "ingest", clock=clock)
    bus = await EventBus.connect(f"tls://127.0.0.1:{port}", "ingest", password, tls, "test")
    try:
        await bus.connected()
        salts = Salts(clock)
        facts = Facts(clock)
        facts.set_salt(await salts.agree(bus.session, salts.today))
    finally:
        await bus.close()
    found = [facts.pseudonym("ip", unit.encode()) for unit in units]
    return [one for one in found if one is not None]


def marks_of(words: Iterable[int]) -> list[bytes]:
    """Return what a pseudonym looks like in a file: raw in both orders, hexadecimal, decimal, in base64 anywhere."""
    marks: list[bytes] = []
    for word in words:
        for raw in (word.to_bytes(8, "little"), word.to_bytes(8, "big")):
            marks += [raw, raw.hex().encode(), raw.hex().upper().encode()]
            # Six bytes are eight letters, whatever stands around them, at one of three alignments.
            marks += [base64.b64encode(raw[skip : skip + 6]) for skip in (0, 1, 2)]
        marks.append(str(word).encode())
    return marks


def code_of(cut: CutName, *values: str) -> int:
    """Return the code of a cell of a cut."""
    metric = load_policy().metrics[cut[0]]
    code = 0
    for name, value in zip(metric.cuts[cut[1]].dimensions, values, strict=True):
        code = code * len(metric.dimensions[name]) + metric.dimensions[name].index(value)
    return code
