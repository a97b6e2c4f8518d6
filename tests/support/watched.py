"""A platform with settings for single services, of which tests know more than it tells anybody.

    WATCHED='{"folder": "/a/folder", "tuning": {"analytics": {"GRACE": "2"}}}' python -m tests.support.watched platform

starts the platform as `python -m services` does, but each service by this module. In the folder, outside of the
platform's home, each process writes down what it publishes to NATS (tests.support.capture), and analytics the counts
of every window just before it draws noise for them: nobody else ever sees those.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.altered import replace, run
from tests.support.capture import Capture, tap_nats
from tests.support.platform import RunningPlatform, running_platform

VARIABLE = "WATCHED"

Cells = Counter[int]
"""Counts by the codes of cells."""
CutName = tuple[str, str]


@dataclass(frozen=True)
class Watched:
    """What was written down of a platform."""

    folder: Path

    @property
    def capture(self) -> Capture:
        """What was published to NATS."""
        return Capture(self.folder)

    def collected(self) -> dict[int, dict[CutName, Cells]]:
        """Return the true counts of the short windows that were to be released, by start of window, and cut.

        Raises: AssertionError if a window that was collected more than once held something else.
        """
        found: dict[int, dict[CutName, Cells]] = {}
        for path in sorted(self.folder.glob("collected-hour-*.json")):
            told = json.loads(path.read_text(encoding="utf-8"))
            cells = {(metric, cut): Counter(dict(pairs)) for metric, cut, pairs in told["cuts"]}
            before = found.setdefault(told["start"], cells)
            assert not before or not cells or before == cells, "a window that was closed has changed"
            found[told["start"]] = before or cells
        return found


@contextmanager
def watched_platform(
    home: Path, tuning: Mapping[str, Mapping[str, str]], **extra: str
) -> Iterator[tuple[RunningPlatform, Watched]]:
    """Start a platform in `home`; `tuning` are settings of single services, `extra` those of the platform."""
    folder = home.with_name(home.name + "-watched")
    folder.mkdir()
    told = {"folder": str(folder), "tuning": {name: dict(own) for name, own in tuning.items()}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, json.dumps(told))
        with running_platform(home, program=(__name__, "platform"), **extra) as platform:
            yield platform, Watched(folder)


def _tap_collected(folder: Path) -> None:
    from services.analytics.partitions_pending import StoredWindows

    collect = StoredWindows.collect

    async def collect_tapped(self: StoredWindows, window: Any) -> Any:
        collected = await collect(self, window)
        if collected is not None:
            cuts = [
                (*cut, list(zip(cells.codes.tolist(), cells.counts.tolist(), strict=True)))
                for cut, cells in collected.cells.items()
            ]
            path = folder / f"collected-{window.name}-{secrets.token_hex(8)}"
            path.write_text(json.dumps({"start": window.start, "cuts": cuts}), encoding="utf-8")
            path.rename(path.with_suffix(".json"))
        return collected

    replace(StoredWindows, "collect", collect_tapped)


def _watch(role: str) -> None:
    told = json.loads(os.environ[VARIABLE])
    folder, (service, _, worker) = Path(told["folder"]), role.partition(".")
    if not worker:
        for name, text in told["tuning"].get(service, {}).items():
            os.environ[f"SEALPOST_{name}"] = text
    tap_nats(folder, role)
    if service == "analytics":
        _tap_collected(folder)


if __name__ == "__main__":
    sys.exit(run(__spec__.name, _watch))
