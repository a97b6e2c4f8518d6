"""Probes and canaries, put together: what they keep, do and answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.docstore.store import Collection
from libs.owner.model import HeldClass
from services.retention.domain.ports import Results
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.probes.results import NoResults

COLLECTIONS: tuple[Collection, ...] = ()


@dataclass(frozen=True)
class Probing:
    """What the part adds. `duties` only while this replica leads; `held` are classes that retention owns."""

    results: Results = field(default_factory=NoResults)
    duties: tuple[Duty, ...] = ()
    held: tuple[HeldClass, ...] = ()


def make_probing(base: Base) -> Probing:
    """Compose the part on a store that was opened with COLLECTIONS."""
    return Probing()
