"""`make run` from outside: it starts or says why not, holds together, stops without a trace, and starts again."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from libs.local.plan import free_ports
from tests.support.ledger_journal import Outcome
from tests.support.ledger_mail import Run, Shape, Transaction
from tests.support.ledger_mailboxes import Mailboxes
from tests.support.ledger_procs import family, is_alive, is_ready, kill, pids, wait_for
from tests.support.ledger_smtp import send_one
from tests.support.platform import ROOT, RunningPlatform, platform_environment, running_platform

_READY_LINE = "sealpost is ready"
# The budget is 8 s on a machine that does nothing else; tests share theirs.
_LATER_START_SECONDS = 16.0
_STOP_SECONDS = 15.0
_SERVICES = {"accounts", "analytics", "billing", "crypto", "delivery", "gateway", "ingest", "retention", "storage"}


def send(platform: RunningPlatform, run: Run, number: int, recipient: str) -> Outcome:
    """Send one small mail."""
    transaction = Transaction(number, number, Shape.PLAIN, 300, (recipient,))
    return send_one(run, platform.smtp_host, platform.smtp_port, transaction)


def start_and_fail(home: Path, **extra: str) -> str:
    """Start a platform that cannot start; return what it prints."""
    ports = free_ports(2)
    environment = platform_environment(home, *ports) | extra
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "services"],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert time.monotonic() - began < _STOP_SECONDS
    assert _READY_LINE not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@contextmanager
def taken_port() -> Iterator[str]:
    """Give a port on which somebody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield str(holder.getsockname()[1])


@pytest.mark.parametrize("variable", ["SEALPOST_HTTP_PORT", "SEALPOST_SMTP_PORT"])
def test_a_taken_port_is_told_with_the_variable_that_moves_ours(tmp_path: Path, variable: str) -> None:
    with taken_port() as port:
        said = start_and_fail(tmp_path / "home", **{variable: port})
    assert f"Port {port} on 127.0.0.1 is taken" in said
    assert variable in said


def test_an_unknown_variable_is_told(tmp_path: Path) -> None:
    said = start_and_fail(tmp_path / "home", SEALPOST_SMTP_PROT="2525", SEALPOST_HTTP_PORT="eighty")
    assert "SEALPOST_SMTP_PROT is not known" in said
    assert "SEALPOST_HTTP_PORT must be a number" in said
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = start_and_fail(tmp_path / "file" / "home")
    assert "cannot be written" in said
    assert "SEALPOST_HOME" in said


def test_data_and_accounts_are_there_after_the_next_start(tmp_path: Path) -> None:
    run, home = Run.fresh(), tmp_path / "home"
    member, inbox = run.member(0), run.inbox(0)
    with running_platform(home) as platform:
        with closing(Mailboxes(platform, run)) as mailboxes:
            mailboxes.sign_up(1)
        assert send(platform, run, 1, member).accepted
        assert send(platform, run, 2, inbox).accepted
        assert platform.stop() == 0
    began = time.monotonic()
    with running_platform(home) as platform:
        seconds = time.monotonic() - began
        assert platform.output.count(_READY_LINE) == 1
        with closing(Mailboxes(platform, run)) as mailboxes:
            mailboxes.sign_in(1)
            (mail,) = mailboxes.members[0].client.list()
            assert run.number_in(mailboxes.members[0].client.read(mail.id)) == 1
            reader = mailboxes.client()
            (mail,) = reader.public(inbox).mails
            assert run.number_in(reader.read_public(inbox, mail.id)) == 2
    print(f"ready after {seconds:.1f} s in a home that exists")
    assert seconds < _LATER_START_SECONDS


def test_only_the_owner_can_look_into_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_platform(home) as platform:
        assert send(platform, Run.fresh(), 1, f"somebody@{platform.public_domain}").accepted
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        kept = [path for part in ("data", "secrets", "tls") for path in (home / part).rglob("*")]
        secret = [path for path in kept if path.suffix == ".key" or path.is_relative_to(home / "secrets")]
        assert len(secret) > 5
        open_to_others = [path for path in secret if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077]
        assert open_to_others == []


def test_a_crash_leaves_no_memory_on_disk(tmp_path: Path) -> None:
    """Whatever whoever starts it allows."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with running_platform(tmp_path / "home") as platform:
            services = [one for name, pid in pids(platform).items() if name != "nats" for one in family(pid)]
            assert len(services) > len(_SERVICES)
            assert {resource.prlimit(pid, resource.RLIMIT_CORE) for pid in services} == {(0, 0)}
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_process_and_no_error(tmp_path: Path, number: signal.Signals) -> None:
    with running_platform(tmp_path / "home") as platform:
        everybody = family(platform.process.pid)
        # The supervisor, NATS and the workers of ingest beside the services.
        assert len(everybody) > len(_SERVICES) + 2
        with socket.create_connection((platform.smtp_host, platform.smtp_port)) as idle:
            assert idle.recv(3) == b"220"
            began = time.monotonic()
            os.kill(platform.process.pid, number)
            assert platform.process.wait(60) == 0
            seconds = time.monotonic() - began
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert not (platform.home / "pids.json").exists()
    assert not any("was killed" in line for line in platform.output)
    assert [path.name for path in (platform.home / "log").iterdir() if b'"level":"error"' in path.read_bytes()] == []
    print(f"stopped in {seconds:.1f} s")
    assert seconds < _STOP_SECONDS


def test_a_stop_in_the_midst_of_the_start_leaves_no_process(tmp_path: Path) -> None:
    environment = platform_environment(tmp_path / "home", *free_ports(2))
    process = subprocess.Popen(
        [sys.executable, "-m", "services"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    wait_for("the first services started", lambda: len(family(process.pid)) >= 4, 30.0)
    everybody = family(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with running_platform(tmp_path / "home") as platform:
        everybody = family(platform.process.pid)
        kill(platform.process.pid)
        platform.process.wait()
        wait_for("everybody gone", lambda: not any(is_alive(pid) for pid in everybody), _STOP_SECONDS)


def test_whatever_is_killed_comes_back(tmp_path: Path) -> None:
    run = Run.fresh()
    with running_platform(tmp_path / "home") as platform:
        before = pids(platform)
        assert set(before) == _SERVICES | {"nats"}
        for pid in before.values():
            kill(pid)
        seconds = wait_for(
            "everybody back",
            lambda: all(
                pids(platform).get(name, pid) != pid and is_ready(platform, name) for name, pid in before.items()
            ),
            40.0,
        )
        inbox = run.inbox(0)
        # Connections between services are made anew by themselves.
        attempts = iter(range(1, 100))
        wait_for("mail accepted", lambda: send(platform, run, next(attempts), inbox).accepted, 20.0)
        with closing(Mailboxes(platform, run)) as mailboxes:
            assert len(mailboxes.client().public(inbox).mails) == 1
        assert sum("starting it again" in line for line in platform.output) == len(before)
    print(f"all of them were back after {seconds:.1f} s")


def test_two_platforms_stand_side_by_side(tmp_path: Path) -> None:
    run = Run.fresh()
    inbox = run.inbox(0)
    with ExitStack() as stack:
        one, two = (stack.enter_context(running_platform(tmp_path / name)) for name in ("one", "two"))
        assert send(one, run, 1, inbox).accepted
        assert one.stop() == 0
        assert send(two, run, 2, inbox).accepted
        with closing(Mailboxes(two, run)) as mailboxes:
            assert len(mailboxes.client().public(inbox).mails) == 1
