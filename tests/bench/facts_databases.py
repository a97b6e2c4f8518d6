"""Databases that count facts by GROUP BY, for comparison: SQLite in memory, and PostgreSQL where it is installed.

Both get rows that are parsed already: SQLite as tuples, PostgreSQL as a file that its server copies into an unlogged
table, without fsync. Inserting counts, for facts arrive one by one and are counted once; an index is there before them.
Rates are rows divided by seconds of the processor, PostgreSQL's being those of its server's processes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cpu import seconds_used

Row = tuple[int, int, int, int]
"""Number of the metric, hour, unit, cell."""

_TABLE = "CREATE {} TABLE fact (metric INTEGER, hour INTEGER, unit BIGINT, cell INTEGER)"
_BOUND = "CREATE TABLE bound (metric INTEGER PRIMARY KEY, per_unit INTEGER)"
_INDEX = "CREATE INDEX fact_cells ON fact (metric, hour, cell)"
_GROUP_BY = "SELECT metric, hour, cell, count(*) FROM fact GROUP BY metric, hour, cell"
_BOUNDED = (
    "SELECT metric, hour, cell, count(*) FROM (SELECT metric, hour, cell, row_number()"
    " OVER (PARTITION BY metric, unit ORDER BY hour) AS number FROM fact) AS numbered JOIN bound USING (metric)"
    " WHERE number <= per_unit GROUP BY metric, hour, cell"
)
_WAYS = {"group_by": (False, _GROUP_BY), "group_by_indexed": (True, _GROUP_BY), "group_by_bounded": (False, _BOUNDED)}


@dataclass(frozen=True)
class Counts:
    """Rows a second, by way; and the bounded sum of each metric."""

    rates: Mapping[str, float]
    sums: Mapping[int, int]


def sqlite(rows: Sequence[Row], bounds: Sequence[int]) -> Counts:
    """Return how fast SQLite counts `rows`. `bounds`: per_unit of each metric."""
    rates: dict[str, float] = {}
    found: list[tuple[int, int, int, int]] = []
    for name, (indexed, query) in _WAYS.items():
        base = sqlite3.connect(":memory:")
        base.execute(_TABLE.format(""))
        base.execute(_BOUND)
        base.executemany("INSERT INTO bound VALUES (?, ?)", enumerate(bounds))
        if indexed:
            base.execute(_INDEX)
        started = time.process_time()
        base.executemany("INSERT INTO fact VALUES (?, ?, ?, ?)", rows)
        found = base.execute(query).fetchall()
        rates[name] = len(rows) / (time.process_time() - started)
        base.close()
    return Counts(rates, _sums((metric, count) for metric, _, _, count in found))


def postgresql_missing() -> str | None:
    """Return what is lacking to run PostgreSQL, None if nothing is."""
    return next((f"{tool} is not installed" for tool in ("initdb", "postgres", "psql") if not shutil.which(tool)), None)


def postgresql(folder: Path, rows: Sequence[Row], bounds: Sequence[int]) -> Counts:
    """Return how fast PostgreSQL counts `rows`; its files go below `folder`, a new folder that others may enter."""
    table = folder / "rows"
    table.write_text("".join(f"{metric}\t{hour}\t{unit}\t{cell}\n" for metric, hour, unit, cell in rows))
    table.chmod(0o644)
    rates: dict[str, float] = {}
    found = ""
    with _running(folder) as (server, host):
        _ask(host, _BOUND)
        for number, per_unit in enumerate(bounds):
            _ask(host, f"INSERT INTO bound VALUES ({number:d}, {per_unit:d})")  # noqa: S608 - numbers of our own
        for name, (indexed, query) in _WAYS.items():
            _ask(host, f"DROP TABLE IF EXISTS fact; {_TABLE.format('UNLOGGED')}" + f"; {_INDEX}" * indexed)
            before = seconds_used({"server": server})["server"]
            _ask(host, f"COPY fact FROM '{table}'")
            found = _ask(host, query)
            rates[name] = len(rows) / (seconds_used({"server": server})["server"] - before)
    lines = (line.split("|") for line in found.splitlines())
    return Counts(rates, _sums((int(line[0]), int(line[3])) for line in lines))


def _sums(counts: Iterator[tuple[int, int]]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for metric, count in counts:
        sums[metric] = sums.get(metric, 0) + count
    return sums


@contextmanager
def _running(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a server on a socket below `folder`; yield its process id and the folder of the socket."""
    data = folder / "data"
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    data.mkdir()
    if user is not None:
        shutil.chown(data, user)
    init = [_tool("initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "--no-sync"]
    subprocess.run(init, check=True, user=user, cwd=data, timeout=60, capture_output=True)
    options = ["listen_addresses=", f"unix_socket_directories={data}", "fsync=off", "jit=off", "autovacuum=off"]
    options += ["max_parallel_workers_per_gather=0", "work_mem=256MB", "shared_buffers=256MB"]
    command = [_tool("postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
    server = subprocess.Popen(command, user=user, cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(data)
        yield server.pid, data
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(host: Path) -> None:
    for _ in range(100):
        try:
            _ask(host, "SELECT 1")
        except subprocess.CalledProcessError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("PostgreSQL did not start")


def _ask(host: Path, statement: str) -> str:
    command = [_tool("psql"), "-h", str(host), "-U", "bench", "-d", "postgres", "-X", "-q", "-A", "-t", "-c", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def _tool(name: str) -> str:
    return shutil.which(name) or name
