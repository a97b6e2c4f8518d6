"""Health: read from expositions, summed over processes, kept for an hour."""

from __future__ import annotations

import asyncio
import math

import pytest

from libs.telemetry import metrics
from services.analytics.health.history import History
from services.analytics.health.model import Report, signals_of
from services.analytics.health.samples import Sample, change, merge_buckets, quantile, read_sample
from services.analytics.health.watching import Watch, fetch_text, parse_targets
from tests.support.clock import ManualClock

_INGEST = """# HELP sealpost_smtp_mails_total Mails.
# TYPE sealpost_smtp_mails_total counter
sealpost_smtp_mails_total{{outcome="accepted"}} {accepted}
sealpost_smtp_mails_total{{outcome="failed"}} {failed}
sealpost_smtp_mails_total{{outcome="refused"}} 7.0
# HELP sealpost_smtp_receive_seconds Time.
# TYPE sealpost_smtp_receive_seconds histogram
sealpost_smtp_receive_seconds_bucket{{le="0.1"}} {accepted}
sealpost_smtp_receive_seconds_bucket{{le="+Inf"}} {accepted}
sealpost_smtp_receive_seconds_count {accepted}
sealpost_smtp_receive_seconds_sum 1.0
# HELP sealpost_smtp_connections Open.
# TYPE sealpost_smtp_connections gauge
sealpost_smtp_connections 3.0
# HELP process_cpu_seconds_total CPU.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {cpu}
# HELP process_resident_memory_bytes Memory.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.0e+06
"""


def ingest(accepted: float, failed: float, cpu: float) -> str:
    return _INGEST.format(accepted=float(accepted), failed=float(failed), cpu=float(cpu))


def last(report: Report, service: str, line: str) -> float:
    [found] = [one for one in report.services if one.service == service]
    return next(one for one in found.lines if one.name == line).values[-1]


def watch(answers: dict[int, list[str | Exception]], clock: ManualClock) -> Watch:
    """Return a watch on two processes of ingest and one of storage; each answers from its list in turn."""

    async def fetch(host: str, port: int) -> str:
        answer = answers[port].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    targets = parse_targets(["ingest=127.0.0.1:1", "ingest=127.0.0.1:2", "storage=127.0.0.1:3"])
    return Watch(targets, clock, fetch)


async def test_rates_and_errors_are_sums_over_processes() -> None:
    clock = ManualClock()
    answers: dict[int, list[str | Exception]] = {
        1: [ingest(100, 0, 1), ingest(200, 10, 6)],
        2: [ingest(50, 5, 1), ingest(60, 5, 2)],
        3: [OSError(), OSError()],
    }
    watched = watch(answers, clock)
    await watched.look()
    clock.advance(10)
    await watched.look()
    report = watched.report(60)
    assert last(report, "ingest", "requests") == pytest.approx((100 + 10 + 10) / 10)
    assert last(report, "ingest", "errors") == pytest.approx(1.0)
    assert last(report, "ingest", "cpu") == pytest.approx(0.6)
    assert last(report, "ingest", "queue") == 6
    assert last(report, "ingest", "memory") == 2e6
    assert 0 < last(report, "ingest", "p99") <= 0.1
    states = {one.service: (one.up, one.expected) for one in report.services}
    assert states == {"ingest": (2, 2), "storage": (0, 1)}
    assert math.isnan(last(report, "storage", "requests"))


async def test_a_process_that_began_anew_counts_from_zero() -> None:
    clock = ManualClock()
    answers: dict[int, list[str | Exception]] = {
        1: [ingest(1000, 0, 100), ingest(40, 0, 1)],
        2: [OSError(), OSError()],
        3: [OSError(), OSError()],
    }
    watched = watch(answers, clock)
    await watched.look()
    clock.advance(10)
    await watched.look()
    assert last(watched.report(1), "ingest", "requests") == pytest.approx(4.7)


@pytest.mark.parametrize(
    "answer", ["<html>no metrics</html>", "", "sealpost_x{ 1", TimeoutError(), ValueError("too long")]
)
async def test_who_talks_nonsense_stops_nothing(answer: str | Exception) -> None:
    clock = ManualClock()
    answers: dict[int, list[str | Exception]] = {
        1: [ingest(1, 0, 1), ingest(11, 0, 2)],
        2: [answer, answer],
        3: [answer, answer],
    }
    watched = watch(answers, clock)
    await watched.look()
    clock.advance(10)
    await watched.look()
    assert last(watched.report(1), "ingest", "requests") == pytest.approx(1.0)


def test_history_is_bounded_to_an_hour() -> None:
    history = History(["crypto"])
    for at in range(0, 10 * 1000, 10):
        history.add(at, {}, {"crypto": (0, 1)})
    report = history.report(600)
    assert len(report.times) == 360
    assert report.times[-1] == 9990
    assert all(len(line.values) == 360 for line in report.services[0].lines)
    assert len(history.report(1).times) == 6


def test_quantiles_are_interpolated() -> None:
    buckets = {0.1: 50.0, 0.2: 90.0, 1.0: 100.0, math.inf: 100.0}
    assert quantile(0.5, buckets) == pytest.approx(0.1)
    assert quantile(0.7, buckets) == pytest.approx(0.15)
    assert quantile(0.99, buckets) == pytest.approx(0.92)
    assert quantile(0.99, {0.1: 0.0, math.inf: 5.0}) == pytest.approx(0.1)
    assert math.isnan(quantile(0.5, {}))
    assert math.isnan(quantile(0.5, {0.1: 0.0, math.inf: 0.0}))
    assert merge_buckets([{0.1: 1.0}, {0.1: 2.0, 1.0: 3.0}]) == {0.1: 3.0, 1.0: 3.0}


def test_no_time_no_change() -> None:
    sample = Sample(1.0, 1, 0, 0, 0, 0, 0)
    assert change(sample, sample) is None


def test_signals_name_metrics_that_our_own_exposition_has() -> None:
    text, _ = metrics.render()
    sample = read_sample(text.decode(), signals_of("crypto"), 1.0)
    assert sample.requests >= 0


@pytest.mark.parametrize(
    "text", ["ingest", "ingest=host", "=host:1", "ingest=host:0", "ingest=host:70000", "ingest=:1"]
)
def test_targets_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match="entry 1"):
        parse_targets([text])


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na 1", True),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n" + b"#" * 9_000_000, False),
    ],
)
async def test_answers_are_bounded(answer: bytes, good: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await asyncio.wait_for(writer.drain(), 5)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        if good:
            assert await fetch_text("127.0.0.1", port) == "a 1"
        else:
            with pytest.raises(ValueError, match=r"200|long"):
                await fetch_text("127.0.0.1", port)
