"""The processes of the local platform, from the chart's table."""

from __future__ import annotations

import importlib
import re
import socket
import stat
from pathlib import Path

import pytest

from libs.local import plan
from libs.local.settings import LocalError, LocalSettings
from libs.runtime.settings import SettingsError, load


def test_callers_mirror_the_table(tmp_path: Path) -> None:
    table = plan.calls_table()
    addresses = plan.make_addresses(plan.in_order(table), LocalSettings(home=tmp_path))
    for name in table:
        told = plan.environment(name, LocalSettings(home=tmp_path), addresses)
        callers = {caller for caller in told["SEALPOST_CALLERS"].split(",") if caller}
        assert callers == {caller for caller, calls in table.items() if name in calls}
        assert {peer.split("=")[0] for peer in told["SEALPOST_PEERS"].split(",") if peer} == set(table[name])


def test_no_service_starts_before_those_it_calls() -> None:
    """Of two that call each other, one begins."""
    table = plan.calls_table()
    order = plan.in_order(table)
    for name, calls in table.items():
        before = [peer for peer in calls if name not in table[peer]]
        assert all(order.index(peer) < order.index(name) for peer in before), name


def test_every_service_takes_what_it_is_told(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path)
    plan.prepare_secrets(settings)
    table = plan.calls_table()
    addresses = plan.make_addresses(plan.in_order(table), LocalSettings(home=tmp_path))
    for name in table:
        told = plan.environment(name, settings, addresses)
        cls = importlib.import_module(f"services.{name}.settings").Settings
        try:
            load(cls, told)
        except SettingsError as error:
            pytest.fail(f"{name}: {error}")


def test_every_service_gets_the_operators_numbers(tmp_path: Path) -> None:
    file = tmp_path / "overrides.yaml"
    file.write_text("rules:\n  public_mail_seconds: 86400\n", encoding="ascii")
    settings = LocalSettings(home=tmp_path, policy_overrides=file)
    plan.require_policy(settings)
    names = plan.in_order(plan.calls_table())
    addresses = plan.make_addresses(names, settings)
    told = {plan.environment(name, settings, addresses)["SEALPOST_POLICY_OVERRIDES"] for name in names}
    assert told == {str(file)}
    assert "SEALPOST_POLICY_OVERRIDES" not in plan.environment(names[0], LocalSettings(home=tmp_path), addresses)


@pytest.mark.parametrize("rules", ["no_such_rule: 1", "notice_seconds: 60"])
def test_numbers_that_the_policy_does_not_allow_are_told_before_anything_starts(tmp_path: Path, rules: str) -> None:
    file = tmp_path / "overrides.yaml"
    file.write_text(f"rules:\n  {rules}\n", encoding="ascii")
    with pytest.raises(LocalError, match="SEALPOST_POLICY_OVERRIDES"):
        plan.require_policy(LocalSettings(home=tmp_path, policy_overrides=file))
    with pytest.raises(LocalError, match="SEALPOST_POLICY_OVERRIDES"):
        plan.require_policy(LocalSettings(home=tmp_path, policy_overrides=tmp_path / "missing.yaml"))


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    first = plan.make_secret(path)
    assert plan.make_secret(path) == first
    assert len(bytes.fromhex(first)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_taken_port_is_told_with_its_remedy() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(LocalError, match=r"taken.*SEALPOST_SMTP_PORT"):
            plan.require_free(holder.getsockname()[1], "127.0.0.1", "SEALPOST_SMTP_PORT")


def test_no_sealpost_variable_of_ours_leaks_into_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALPOST_HTTP_PORT", "1")
    addresses = plan.make_addresses(plan.in_order(plan.calls_table()), LocalSettings(home=tmp_path))
    assert "SEALPOST_HTTP_PORT" not in plan.environment("crypto", LocalSettings(home=tmp_path), addresses)


def test_services_here_and_in_containers_have_the_same_native_settings(tmp_path: Path) -> None:
    addresses = plan.make_addresses(plan.in_order(plan.calls_table()), LocalSettings(home=tmp_path))
    told = plan.environment("crypto", LocalSettings(home=tmp_path), addresses)
    image = (plan.ROOT / "services" / "Dockerfile").read_text(encoding="utf-8")
    native = dict(re.findall(r"^ {4}((?:GRPC|RUST|MALLOC)_\w+)=(\w+)", image, re.MULTILINE))
    assert native.keys() >= {"GRPC_VERBOSITY", "RUST_BACKTRACE", "MALLOC_MMAP_THRESHOLD_"}
    assert {name: told.get(name) for name in native} == native


def test_ports_of_processes_that_come_back_are_none_that_clients_are_given() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else 32_768
    ports = plan.free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < lowest


def test_ports_that_the_settings_fix_are_given_to_nobody_else(tmp_path: Path) -> None:
    fixed = list(plan._PORTS)[:-30]
    names = plan.in_order(plan.calls_table())
    picked = plan.free_ports(2 * len(names) + 2, frozenset(fixed))
    assert set(picked).isdisjoint(fixed)
    with pytest.raises(LocalError, match="free ports are needed"):
        plan.free_ports(1, plan._PORTS)
