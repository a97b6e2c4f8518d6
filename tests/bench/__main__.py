"""`make bench`: how fast a mail comes in and goes out, beside a peer on the same machine in the same minutes.

Ours and the peer's rounds alternate, so that whatever else the machine does falls on both; what is compared is the
ratio of the medians. The result is printed and written to artifacts/bench.json.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from libs.client.api import Client
from tests.bench import (
    allow,
    erasure,
    expiry,
    expiry_ingest,
    facts_counting,
    facts_emit,
    facts_release,
    invoicing,
    listing,
    memory,
    metering,
    peer,
    queue,
    relay,
)
from tests.bench.load import Load, client_name, latencies, send
from tests.support.platform import ROOT, RunningPlatform, running_platform

_KB = 1024
_SETTLE_SECONDS = 120.0
_INSIDE = {"metering": metering.measure, "allow": allow.measure, "invoicing": invoicing.measure}
_PARTS = ("rates", "latency", "memory", "listing", "expiry", "erasure", "relay", "queue", "facts", *_INSIDE)
_FACTS = {"emit": facts_emit.measure, "counting": facts_counting.measure, "release": facts_release.measure}


def _rounds(size: int, mails: int, rounds: int, ours: RunningPlatform, other: peer.Peer | None) -> dict[str, Any]:
    found: dict[str, list[float]] = {"sealpost": [], "peer": []}
    recipient = _member(ours, f"bench{size}")
    for turn in range(rounds):
        seconds = send(Load(ours.smtp_port, recipient, mails, size))
        found["sealpost"].append(mails / seconds)
        _say(f"  {size // _KB:4d} KB round {turn + 1}: sealpost {mails / seconds:7.1f}/s")
        if other is not None:
            rate = _peer_rate(other, Load(other.port, other.recipient, max(200, mails // 4), size))
            found["peer"].append(rate)
            _say(f"  {size // _KB:4d} KB round {turn + 1}: peer     {rate:7.1f}/s")
    result: dict[str, Any] = {name: statistics.median(rates) for name, rates in found.items() if rates}
    result["rounds"] = found
    if other is not None:
        result["ratio"] = result["sealpost"] / result["peer"]
    return result


def _member(ours: RunningPlatform, name: str) -> str:
    """Make an account, so that mail is sealed to a certificate, and return its address."""
    address = f"{name}@{ours.member_domain}"
    with Client(ours.url) as client:
        client.signup(address, secrets.token_hex(16))
    return address


def _peer_rate(other: peer.Peer, load: Load) -> float:
    before = other.stored()
    started = time.monotonic()
    send(load)
    while other.stored() - before < load.mails:
        if time.monotonic() - started > _SETTLE_SECONDS:
            raise RuntimeError("the peer did not store what it accepted in time")
        time.sleep(0.02)
    return load.mails / (time.monotonic() - started)


def _latency(ours: RunningPlatform, mails: int) -> dict[str, float]:
    times = latencies(Load(ours.smtp_port, _member(ours, "latency"), mails, 4 * _KB))
    cut = statistics.quantiles(times, n=100)
    return {"p50_ms": cut[49] * 1000, "p95_ms": cut[94] * 1000, "p99_ms": cut[98] * 1000, "mails": float(mails)}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--mails", type=int, default=4000, help="mails of 4 KB in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deferred", type=int, default=1_000_000, help="mails that wait in the larger queue")
    parser.add_argument("--only", choices=_PARTS, action="append")
    chosen = parser.parse_args()
    parts: set[str] = set(chosen.only or _PARTS)
    report: dict[str, Any] = {"client": client_name()}
    with tempfile.TemporaryDirectory(prefix="sealpost-bench-") as folder:
        home = Path(folder)
        if parts & {"rates", "latency", "memory"}:
            report |= _inbound(parts, home, chosen.mails, chosen.rounds)
        if "listing" in parts:
            report["listing"] = _run("listing", listing.measure)
        if "expiry" in parts:
            report["expiry"] = _run("expiry", expiry.expiry) | {"ingest": _run("expiry: ingest", expiry_ingest.measure)}
        if "erasure" in parts:
            report["erasure"] = _run("erasure", erasure.measure) | {"storage": _run("erasure: storage", expiry.erasure)}
        if "relay" in parts:
            report |= relay.measure(home / "out", chosen.mails, chosen.rounds)
        if parts & {"relay", "queue"}:
            report["queue"] = _run("queue", partial(queue.measure, chosen.deferred))
    if "facts" in parts:
        report["facts"] = {name: _run(f"facts: {name}", part) for name, part in _FACTS.items()}
    for name in filter(parts.__contains__, _INSIDE):
        report[name] = _run(name, _INSIDE[name])
    _write(report)
    return 0


def _inbound(parts: set[str], home: Path, mails: int, rounds: int) -> dict[str, Any]:
    report: dict[str, Any] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(running_platform(home / "ours"))
        if "memory" in parts:
            report["idle_mib"] = memory.resident(ours)
        if "rates" in parts:
            report |= _rates(stack, home, ours, mails, rounds)
        if "latency" in parts:
            report["latency_20_sessions_4_kb"] = _latency(ours, mails)
        if "memory" in parts:
            report["memory_50_x_25_mb"] = memory.burst(ours)
    return report


def _rates(stack: ExitStack, home: Path, ours: RunningPlatform, mails: int, rounds: int) -> dict[str, Any]:
    other = None
    lack = peer.missing()
    if lack is None:
        folder = home / "peer"
        folder.mkdir()
        home.chmod(0o755)
        other = stack.enter_context(peer.running_peer(folder))
    else:
        _say(f"  no peer to compare with: {lack}")
    send(Load(ours.smtp_port, f"warm@{ours.public_domain}", 200, 4 * _KB))
    return {
        "rate_4_kb": _rounds(4 * _KB, mails, rounds, ours, other),
        "rate_100_kb": _rounds(100 * _KB, max(200, mails // 4), rounds, ours, other),
        "peer": lack or "Postfix, LMTP, Dovecot with mail_crypt",
    }


def _run(name: str, part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    _say(f"  {name} ...")
    return part()


def _write(report: dict[str, Any]) -> None:
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    sys.exit(main())
