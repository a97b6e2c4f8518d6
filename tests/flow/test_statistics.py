"""The way of numbers, end to end: thousands of sessions and views from known units, and what became of them.

The clients keep a book. Analytics and NATS are killed while they are at it. Then the true counts - written down just
before noise is drawn, and opened in the documents where no release is due yet - must be those of the book; released
numbers must lie within their stated intervals as often as stated; whoever does more than his bound counts up to it; and
of the units nothing is on any disk.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from libs.policy import load_policy
from tests.support.counted import Held, code_of, held, marks_of, pseudonyms
from tests.support.ledger_procs import children, is_ready, kill, metrics, pids, wait_for
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import Sender, sign_up
from tests.support.traffic import AGENTS, PATHS, Book, Client
from tests.support.watched import Cells, CutName, Watched, watched_platform

HOUR = 10
TUNING = {"analytics": {"HOUR_SECONDS": str(HOUR), "GRACE": "2", "TICK": "0.3"}}
UNITS = 60
EMITTERS = ("ingest", "gateway", "delivery")
HEAVY, HEAVY_SESSIONS = "127.0.2.1", 2_000
HEAVY_CELL = ("submission", "empty")
# Of each unit in each of three rounds; over all they stay below every bound.
SESSIONS = ("accepted", "refused", "dropped", "empty", "empty")
VIEWS = 9
CUTS: tuple[CutName, ...] = (
    ("http_requests", "by_page"),
    ("visitors", "in_hour"),
    ("smtp_sessions", "by_outcome"),
    ("mail_received", "by_outcome"),
    ("mail_stored", "by_profile"),
    ("logins", "by_outcome"),
)
_CHANCE = 1e-6


def test_numbers_are_those_of_the_traffic_and_tell_of_nobody(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><title>page</title>")
    tuning = {**TUNING, "gateway": {"WEB_DIR": str(page)}}
    _not_around_midnight()
    with watched_platform(tmp_path / "home", tuning) as (platform, watched):
        _wait_recording(platform)
        book = Book()
        asyncio.run(_traffic(platform, book))
        before = _wait_counted(platform, book)
        newest = max(window.start for window in before.open if window.kind == "hour")
        _wait_released(platform, newest)
        true = {start: cells for start, cells in watched.collected().items() if start <= newest}
        _assert_true_counts(book, _sums([*true.values()]), before)
        _assert_no_unit_on_a_disk(platform, watched, book)
        _assert_released(platform, true, newest)
        assert platform.stop() == 0
        _assert_destroyed(platform, newest)


def _not_around_midnight() -> None:
    """Units have other names on another day: wait where the day ends within the time of the test."""
    left = 86_400 - time.time() % 86_400
    if left < 120:
        time.sleep(left + 1)


def _wait_recording(platform: RunningPlatform) -> None:
    def salted(name: str) -> bool:
        lines = metrics(platform, name).splitlines()
        # ingest adds its workers up.
        wanted = len(children(pids(platform)["ingest"])) if name == "ingest" else 1
        return any(line.split() == ["sealpost_facts_salted", f"{wanted}.0"] for line in lines)

    for name in EMITTERS:
        wait_for(f"{name} records", lambda name=name: salted(name), 20.0)  # type: ignore[misc]


async def _traffic(platform: RunningPlatform, book: Book) -> None:
    """Have all units at work in three rounds; analytics is killed amid the first, and NATS amid the second."""
    for number, victim in enumerate(("analytics", "nats", "")):
        clients = [Client(platform, f"127.0.1.{unit + 1}", book) for unit in range(UNITS)]
        work = asyncio.gather(*(_unit(client, number * UNITS + at) for at, client in enumerate(clients)))
        heavy = asyncio.gather(*(_heavy(Client(platform, HEAVY, book), HEAVY_SESSIONS // 12) for _ in range(4)))
        if victim:
            await asyncio.to_thread(_kill_amid, platform, victim, book, book.entries + 300)
        await asyncio.gather(work, heavy)
    rest = HEAVY_SESSIONS - book.sessions[(HEAVY, *HEAVY_CELL)]
    await _heavy(Client(platform, HEAVY, book), rest)


async def _unit(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    for outcome in chance.sample(SESSIONS, len(SESSIONS)):
        await client.session(outcome)
        await asyncio.sleep(0.1)
    paths = chance.choices(list(PATHS), k=VIEWS)
    await client.views(paths, chance.choice(list(AGENTS)))


async def _heavy(client: Client, count: int) -> None:
    for _ in range(count):
        await client.session(HEAVY_CELL[1], HEAVY_CELL[0])


def _kill_amid(platform: RunningPlatform, victim: str, book: Book, entries: int) -> None:
    wait_for(f"{entries} entries in the book", lambda: book.entries >= entries)
    _kill(platform, victim)


def _kill(platform: RunningPlatform, victim: str) -> None:
    """Kill it, and wait until it is back."""
    old = pids(platform)[victim]
    kill(old)
    wait_for(f"{victim} back", lambda: pids(platform).get(victim, old) != old and is_ready(platform, victim), 30.0)


def _wait_counted(platform: RunningPlatform, book: Book) -> Held:
    """Return what is held once every fact of the book has been dealt with, none lost and none counted twice."""
    wanted = Counter({"http_requests": book.views.total(), "smtp_sessions": book.sessions.total()})
    found: list[Held] = []

    def arrived() -> bool:
        now = asyncio.run(held(platform.home, HOUR))
        found.append(now)
        return all(now.facts[metric] >= count for metric, count in wanted.items())

    wait_for("all facts counted", arrived, 75.0)
    now = found[-1]
    assert {metric: now.facts[metric] for metric in wanted} == wanted
    assert all(totals.malformed == 0 for totals in now.totals.values())
    return now


def _wait_released(platform: RunningPlatform, newest: int) -> None:
    def released() -> bool:
        now = asyncio.run(held(platform.home, HOUR))
        return not any(window.kind == "hour" and window.start <= newest for window in now.keyed)

    wait_for("windows released", released, 3.0 * HOUR)


def _sums(windows: Sequence[Mapping[CutName, Cells]]) -> dict[CutName, Cells]:
    sums: dict[CutName, Cells] = {}
    for cells in windows:
        for cut, counts in cells.items():
            sums.setdefault(cut, Counter()).update(counts)
    return sums


def _assert_true_counts(book: Book, short: Mapping[CutName, Cells], before: Held) -> None:
    """Compare true counts with the book: of the windows that were released, and of the day, which is open."""
    assert 1 <= before.terms <= 2
    (day,) = [cells for window, cells in before.open.items() if window.kind == "day"]
    bound = load_policy().metrics["smtp_sessions"].per_unit
    light = Counter[int]()
    for (unit, port, outcome), count in book.sessions.items():
        if unit != HEAVY:
            light[code_of(("smtp_sessions", "by_outcome"), port, outcome)] += count
    counted = Counter(short["smtp_sessions", "by_outcome"])
    heavy = counted.pop(code_of(("smtp_sessions", "by_outcome"), *HEAVY_CELL))
    assert counted == light
    # Two thousand sessions, and they move their cell by the bound: once for each time that memory was lost.
    assert book.sessions[(HEAVY, *HEAVY_CELL)] == HEAVY_SESSIONS
    assert bound <= heavy <= bound * before.terms
    by_tls = day["smtp_sessions", "by_tls"]
    assert by_tls == {
        code_of(("smtp_sessions", "by_tls"), "mx", "none"): light.total(),
        code_of(("smtp_sessions", "by_tls"), "submission", "none"): heavy,
    }
    pages, browsers = Counter[int](), Counter[int]()
    for (_, page, status, browser), count in book.views.items():
        pages[code_of(("http_requests", "by_page"), page, status)] += count
        browsers[code_of(("http_requests", "by_browser"), browser)] += count
    assert short["http_requests", "by_page"] == pages
    assert day["http_requests", "by_browser"] == browsers
    accepted = sum(count for (_, _, outcome), count in book.sessions.items() if outcome == "accepted")
    assert short["mail_received", "by_outcome"][code_of(("mail_received", "by_outcome"), "accepted")] == accepted
    seen = len(book.seen_pages())
    assert seen <= day["daily_visitors", "in_day"].total() <= seen * before.terms


def _assert_no_unit_on_a_disk(platform: RunningPlatform, watched: Watched, book: Book) -> None:
    """Search every file for the names that the units have today; and show that the search finds one that is there."""
    units = sorted({unit for unit, *_ in book.sessions})
    assert len(units) == UNITS + 1
    words = asyncio.run(pseudonyms(platform, units))
    assert len(words) == len(units)
    marks = marks_of(words)
    # Facts do travel with the names, in streams in memory: these are the right names.
    published = watched.capture.nats()
    assert all(word.to_bytes(8, "little") in published for word in words)
    assert _found(marks, platform.home) == []
    planted = platform.home / "log" / "planted.log"
    planted.write_bytes(b'{"unit": "%016x"}\n' % words[-1])
    assert _found(marks, platform.home) == ["planted.log"]
    planted.unlink()


def _found(marks: Sequence[bytes], home: Path) -> list[str]:
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"data", "log"} <= {path.relative_to(home).parts[0] for path in files}
    contents = {path.name: path.read_bytes() for path in files}
    return [name for name, content in contents.items() if any(mark in content for mark in marks)]


def _assert_released(platform: RunningPlatform, true: Mapping[int, Mapping[CutName, Cells]], newest: int) -> None:
    """Compare what a holder of the role reads with the true counts, and with what he reads when he asks again."""
    holder = sign_up(platform, "olga")
    holder.client.close()
    make_operator(platform, holder.address, "statistics")
    outside, cells, moved = 0, 0, 0
    released = {cut: _read(holder, cut, newest) for cut in CUTS}
    for cut, releases in released.items():
        # The first window may have begun before analytics did; every other one is there, used or not.
        assert len(true) - 1 <= len(releases) <= len(true)
        assert {start for start, counts in true.items() if counts.get(cut)} <= releases.keys()
        for start, release in releases.items():
            counts = true[start].get(cut, Counter())
            for cell in release["cells"]:
                off = abs(cell["value"] - counts[code_of(cut, *cell["values"])])
                outside += off > release["half_width"]
                moved += off > 0
                cells += 1
        assert all(_read(holder, cut, newest) == releases for _ in range(3))
    _kill(platform, "analytics")
    with holder.http() as http:
        # The gateway connects again in its own time.
        wait_for("statistics", lambda: http.get("/v1/operator/statistics").status_code == 200, 20.0)
    assert {cut: _read(holder, cut, newest) for cut in CUTS} == released
    assert cells > 300
    assert outside <= _most(cells), (outside, cells)
    assert moved > cells / 2


def _most(cells: int) -> int:
    """Return how many of so many cells lie outside of their intervals at most, but for one run in a million."""
    left, count = 1.0, -1
    while left > _CHANCE:
        count += 1
        left -= math.comb(cells, count) * 0.05**count * 0.95 ** (cells - count)
    return count


def _read(holder: Sender, cut: CutName, newest: int) -> dict[int, dict[str, Any]]:
    with holder.http() as http:
        answer = http.get(f"/v1/operator/statistics/{cut[0]}/{cut[1]}").raise_for_status().json()
    found = {int(datetime.fromisoformat(one["start"]).timestamp()): one for one in answer["releases"]}
    return {start: one for start, one in found.items() if start <= newest}


def _assert_destroyed(platform: RunningPlatform, newest: int) -> None:
    """Assert that of what was released neither the sealed counts are left nor their keys."""
    now = asyncio.run(held(platform.home, HOUR))
    left = [window for window in now.keyed | now.sealed if window.kind == "hour" and window.start <= newest]
    assert left == []
    assert any(window.kind == "day" for window in now.keyed & now.sealed)
