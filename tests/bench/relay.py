"""The way out: mail of 4 KB by AUTH over TLS in 20 sessions, queued, relayed to a sink; beside Postfix doing the same.

A round begins with the first connection and ends when the sink has taken the last mail, so the rate is that of the
whole way: password, sealed queue and fsync, signatures, SMTP to the sink. Rounds of both sides alternate. The times of
submission, to the 250 that promises the mail, come from the same rounds.

With a dead destination: ten live domains and one whose host takes connections and never greets. First a round to the
live ones, then the same beside mails to the dead one, which stand in the queue first. What is told is how much of the
live rate is left.
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.client.api import Client
from libs.client.http import Http
from tests.bench import relay_peer
from tests.bench.cpu import seconds_used
from tests.bench.sink import DEAD_HOST, Sink, dead_host, running_sink
from tests.bench.submission import Login, Submission, submit
from tests.support.dns import serve_dns
from tests.support.platform import RunningPlatform, running_platform

SESSIONS = 20
_SIZE = 4096
_ARRIVAL_SECONDS = 240.0
# Connections that each carry many mails, and one each.
_KINDS = {"kept": 1_000_000, "one_each": 1}
_LIVE = tuple(f"live{number}.test" for number in range(10))
_DEAD = "dead.test"


@dataclass(frozen=True)
class Side:
    """One of the two that are compared. `cpu` returns the CPU seconds that each of its parts has taken."""

    name: str
    port: int
    logins: Sequence[Login]
    cpu: Callable[[], Mapping[str, float]]


@dataclass
class Found:
    """What the rounds of one side came to."""

    rates: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    cpu: list[Mapping[str, float]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return medians, and the percentiles of submission over all rounds."""
        cut = statistics.quantiles(self.times, n=100)
        return {
            "relayed_per_s": round(statistics.median(self.rates), 1),
            "rounds": [round(rate, 1) for rate in self.rates],
            "cpu_ms_per_mail": {
                "all": round(statistics.median(sum(one.values()) for one in self.cpu), 2),
                **{part: round(statistics.median(one[part] for one in self.cpu), 2) for part in self.cpu[0]},
            },
            "submission_p50_ms": round(cut[49] * 1000, 1),
            "submission_p99_ms": round(cut[98] * 1000, 1),
        }


def measure(home: Path, mails: int, rounds: int) -> dict[str, Any]:
    """Return rates, times of submission and CPU of both sides, without and with a dead destination."""
    lack = relay_peer.missing()
    if lack:
        _say(f"  no peer to compare with: {lack}")
    return {
        "relay_peer": lack or "Postfix, passwords checked by Dovecot; no DKIM, queue in clear",
        "relay_4_kb": _rates(home / "relay", mails, rounds, with_peer=lack is None),
        "relay_beside_a_dead_destination": _beside_dead(home / "dead", mails, rounds, with_peer=lack is None),
    }


def _rates(home: Path, mails: int, rounds: int, *, with_peer: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        sink = stack.enter_context(running_sink())
        way = {"SMARTHOST": f"127.0.0.1:{sink.port}", "ALLOWED_NETWORKS": "127.0.0.0/8"}
        sides = [_ours(stack, home, **way, PER_DESTINATION=str(relay_peer.CONNECTIONS))]
        if with_peer:
            sides.append(_peer(stack, relayhost=f"[127.0.0.1]:{sink.port}"))
        for side in sides:
            _round(side, sink, 100, ["warm@elsewhere.test"], 10)
        report: dict[str, Any] = {}
        for kind, each in _KINDS.items():
            found = {side.name: Found() for side in sides}
            for turn in range(rounds):
                # Each is first as often as the other, for what the machine does besides changes within a round.
                for side in sides if turn % 2 == 0 else sides[::-1]:
                    _note(found[side.name], side, sink, (mails if each > 1 else mails // 4, each))
                    _say(f"  relay, sessions {kind}: {side.name:8s} {found[side.name].rates[-1]:7.1f}/s")
            report[kind] = {name: one.report() for name, one in found.items()}
            if with_peer:
                report[kind]["ratio"] = _ratio(found["sealpost"].rates, found["peer"].rates)
                report[kind] |= _spread(found["sealpost"], found["peer"])
        return report


def _beside_dead(home: Path, mails: int, rounds: int, *, with_peer: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        sink = stack.enter_context(running_sink())
        stack.enter_context(dead_host(sink.port))
        zone = {(domain, "MX"): ["10 mx.live.test."] for domain in _LIVE}
        zone |= {(_DEAD, "MX"): ["10 mx.dead.test."]}
        zone |= {("mx.live.test", "A"): ["127.0.0.1"], ("mx.dead.test", "A"): [DEAD_HOST]}
        resolver = stack.enter_context(serve_dns(zone))
        world = {"RESOLVERS": resolver.address, "MX_PORT": str(sink.port), "ALLOWED_NETWORKS": "127.0.0.0/8"}
        sides = [_ours(stack, home, **world)]
        if with_peer:
            routes = dict.fromkeys(_LIVE, f"[127.0.0.1]:{sink.port}") | {_DEAD: f"[{DEAD_HOST}]:{sink.port}"}
            sides.append(_peer(stack, routes=routes))
        live = [f"someone{number}@{domain}" for number, domain in enumerate(_LIVE)]
        report: dict[str, Any] = {"dead_mails": mails // 2}
        for side in sides:
            _round(side, sink, 100, live, 10)
            before = [_round(side, sink, mails, live, _KINDS["kept"])[0] for _ in range(rounds)]
            submit(Submission(side.port, side.logins, [f"someone@{_DEAD}"], mails // 2, _SIZE))
            beside = [_round(side, sink, mails, live, _KINDS["kept"])[0] for _ in range(rounds)]
            _say(f"  beside a dead destination: {side.name:8s} {statistics.median(beside):7.1f}/s")
            report[side.name] = {
                "alone_per_s": round(statistics.median(before), 1),
                "beside_per_s": round(statistics.median(beside), 1),
                "left": _ratio(beside, before),
            }
        return report


def _note(found: Found, side: Side, sink: Sink, what: tuple[int, int]) -> None:
    mails, each = what
    used = side.cpu()
    rate, times = _round(side, sink, mails, ["someone@elsewhere.test"], each)
    found.rates.append(rate)
    found.times += times
    found.cpu.append({part: (now - used[part]) / mails * 1000 for part, now in side.cpu().items()})


def _round(side: Side, sink: Sink, mails: int, recipients: Sequence[str], each: int) -> tuple[float, list[float]]:
    """Return mails per second from the first connection to the last arrival, and the seconds of each submission."""
    before, started = sink.received(), time.monotonic()
    times = submit(Submission(side.port, side.logins, recipients, mails, _SIZE, each))
    return mails / (sink.wait_for(before + mails, _ARRIVAL_SECONDS) - started), times


def _ours(stack: ExitStack, home: Path, **settings: str) -> Side:
    home.mkdir(parents=True, exist_ok=True)
    platform = stack.enter_context(running_platform(home / "ours", **settings))
    # An account of the profile relay may send 3,000 mails a minute, and 5,000 on its first day.
    logins = [_account(platform, number) for number in range(SESSIONS)]
    return Side("sealpost", platform.submissions_port, logins, lambda: seconds_used(platform.pids()))


def _peer(stack: ExitStack, relayhost: str = "", routes: dict[str, str] | None = None) -> Side:
    # A folder of its own, which Postfix's users may enter.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealpost-peer-")))
    peer = stack.enter_context(relay_peer.running_relay_peer(folder, relayhost, routes))
    return Side("peer", peer.port, peer.logins(SESSIONS), lambda: seconds_used(peer.parents))


def _account(platform: RunningPlatform, number: int) -> Login:
    address = f"sender{number}@{platform.relay_domain}"
    with Client(platform.url) as client:
        client.signup(address, secrets.token_hex(16))
        session = Http(platform.url, client.token)
        wish = {"kind": "app_password", "label": "bench", "scopes": ["smtp:send"]}
        secret = session.call("POST", "/v1/credentials", wish)["secret"]
        # What the free plan allows in a day is less than a round.
        session.call("PUT", "/v1/billing/plan", {"plan": "growth"})
        session.close()
        return Login(address, str(secret))


def _spread(ours: Found, other: Found) -> dict[str, Any]:
    """Return what the single rounds came to, by rate and by CPU: both sides of a round had the same machine."""
    rates = [mine / theirs for mine, theirs in zip(ours.rates, other.rates, strict=True)]
    cpu = [
        sum(theirs.values()) / max(sum(mine.values()), 1e-9) for mine, theirs in zip(ours.cpu, other.cpu, strict=True)
    ]
    return {
        "ratio_of_rounds": [round(one, 2) for one in rates],
        "ratio_by_cpu": round(statistics.median(cpu), 2),
        "ratio_by_cpu_of_rounds": [round(one, 2) for one in cpu],
    }


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    return round(statistics.median(ours) / statistics.median(others), 2)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
