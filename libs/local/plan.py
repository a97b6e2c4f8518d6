"""Which processes the platform on one machine consists of, and what each is told.

Services and who may call whom come from charts/sealpost/values.yaml, the same table that makes the NetworkPolicies.
Addresses between services are free loopback ports of this start; the ones that people use are fixed by the settings.
"""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from libs.local.settings import LocalError, LocalSettings, clean_environment
from libs.policy import PolicyError, load_policy
from libs.runtime.secret import Secret

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "charts" / "sealpost" / "catalogue.yaml"
_KEYS = {name: ("kek", "lookup_key") for name in ("accounts", "billing", "crypto", "delivery")} | {
    "analytics": ("kek",),
    "retention": ("kek", "evidence_key"),
}
# In this order they start; a caller finds those it calls up already.
# After a restore retention is ready only when it has erased again who was erased: nobody comes in before.
_ORDER = ("analytics", "crypto", "storage", "accounts", "delivery", "billing", "retention", "ingest", "gateway")
_STORES = ("crypto", "storage", "accounts", "delivery", "analytics", "billing", "retention")
_EVENTS = ("storage", "accounts", "delivery", "gateway", "ingest", "analytics", "billing", "retention")
# Below the ports that the kernel gives to clients (from 32768 up on Linux): while a process comes back, a peer that
# tries to reach it could otherwise be given that very port, connect to itself and keep it from listening again.
_PORTS = range(20_000, 32_000)
# As in services/Dockerfile, which says why.
_NATIVE = {
    "GRPC_VERBOSITY": "NONE",
    "RUST_BACKTRACE": "0",
    "RUST_LIB_BACKTRACE": "0",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
    "MALLOC_TOP_PAD_": "524288",
    "POLARS_MAX_THREADS": "1",
}


@dataclass(frozen=True)
class Addresses:
    """Where each service listens on this start."""

    grpc: Mapping[str, str]
    metrics: Mapping[str, str]
    nats_port: int
    nats_monitor_port: int


def calls_table() -> dict[str, list[str]]:
    """Return who calls whom, by service."""
    values = yaml.safe_load((ROOT / "charts" / "sealpost" / "values.yaml").read_text(encoding="utf-8"))
    return {name: list(entry["calls"]) for name, entry in values["services"].items()}


def in_order(names: Mapping[str, object]) -> list[str]:
    """Return the services of the table in the order of their start."""
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def require_free(port: int, host: str, variable: str) -> None:
    """Raise LocalError if somebody listens on `port` already, naming the variable that moves ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as taken:
            raise LocalError(
                f"Port {port} on {host} is taken. Stop what listens there, or set {variable} to another port."
            ) from taken


def require_policy(settings: LocalSettings) -> None:
    """Raise LocalError if the operator's numbers of the policy cannot be taken: told once, and not by each service."""
    try:
        load_policy(settings.policy_overrides)
    except (OSError, PolicyError) as fault:
        raise LocalError(f"SEALPOST_POLICY_OVERRIDES: {fault}") from fault


def free_ports(count: int, spoken_for: Collection[int] = ()) -> list[int]:
    """Return `count` different loopback ports that were free just now; LocalError if there are not so many.

    Those `spoken_for` are left: they are free only because whoever they are for has not started yet.
    """
    probes: list[socket.socket] = []
    try:
        for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(probes) == count:
                break
            if port in spoken_for:
                continue
            probe = socket.socket()
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.close()
            else:
                probes.append(probe)
        if len(probes) < count:
            raise LocalError(f"{count} free ports are needed between {_PORTS[0]} and {_PORTS[-1]}.")
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def make_addresses(names: list[str], settings: LocalSettings) -> Addresses:
    """Pick the loopback addresses of this start, beside those that the settings fix."""
    mail = (settings.smtp_port, settings.submission_port, settings.submissions_port, settings.mx_port)
    nats_port = settings.nats_port
    ports = free_ports(2 * len(names) + 2, (*mail, settings.http_port, nats_port))
    return Addresses(
        grpc={name: f"127.0.0.1:{ports.pop()}" for name in names},
        metrics={name: f"127.0.0.1:{ports.pop()}" for name in names},
        nats_port=nats_port or ports.pop(),
        nats_monitor_port=ports.pop(),
    )


def make_secret(path: Path, size: int = 32) -> str:
    """Return the hexadecimal secret at `path`, made on first use, readable by the owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(size) + "\n", encoding="ascii")
    return path.read_text(encoding="ascii").strip()


def environment(name: str, settings: LocalSettings, addresses: Addresses) -> dict[str, str]:
    """Return the whole environment of service `name`."""
    table = calls_table()
    own = {
        "GRPC_ADDRESS": addresses.grpc[name] if any(name in calls for calls in table.values()) else "",
        "METRICS_ADDRESS": addresses.metrics[name],
        "TLS_DIR": str(settings.tls / name),
        "PEERS": ",".join(f"{peer}={addresses.grpc[peer]}" for peer in table[name]),
        "CALLERS": ",".join(caller for caller, calls in table.items() if name in calls),
    }
    if name in _STORES:
        own["STORE"] = f"sqlite:{settings.data / name}"
    if name in _EVENTS:
        own["NATS_URL"] = f"tls://127.0.0.1:{addresses.nats_port}"
        own["NATS_USER"] = name
        own["NATS_PASSWORD_FILE"] = str(settings.secrets / "nats" / name)
    for key in _KEYS.get(name, ()):
        own[f"{key.upper()}_FILE"] = str(settings.secrets / name / key)
    if name == "analytics":
        own["TARGETS"] = ",".join(f"{service}={address}" for service, address in addresses.metrics.items())
    if settings.policy_overrides is not None:
        own["POLICY_OVERRIDES"] = str(settings.policy_overrides)
    own |= _edges(name, settings)
    frame = {"PYTHONPATH": str(ROOT)}
    return clean_environment() | _NATIVE | frame | {f"SEALPOST_{key}": text for key, text in own.items()}


def _edges(name: str, settings: LocalSettings) -> dict[str, str]:
    if name == "ingest":
        return {
            "SMTP_ADDRESS": f"{settings.host}:{settings.smtp_port}",
            "SUBMISSION_ADDRESS": f"{settings.host}:{settings.submission_port}",
            "SUBMISSIONS_ADDRESS": f"{settings.host}:{settings.submissions_port}",
            "SMTP_TLS_DIR": str(settings.tls / "smtp"),
            "WORKERS": str(settings.smtp_workers),
            "BOUNCE_DOMAIN": settings.bounce_domain,
        } | ({"RESOLVERS": settings.resolvers} if settings.resolvers else {})
    if name == "accounts":
        return {
            "MEMBER_DOMAINS": settings.member_domain,
            "RELAY_DOMAINS": settings.relay_domain,
            "PUBLIC_DOMAINS": settings.public_domain,
        }
    if name == "billing":
        return {"CATALOGUE": str(settings.catalogue or CATALOGUE), "PUBLIC_URL": settings.url}
    if name == "retention":
        return {
            "REGISTER_DIR": str(settings.home / "register"),
            "HTTP_URL": settings.url,
            "SMTP_ADDRESS": f"{settings.host}:{settings.smtp_port}",
            "SUBMISSION_ADDRESS": f"{settings.host}:{settings.submission_port}",
        }
    if name == "gateway":
        return {
            "HTTP_ADDRESS": f"{settings.host}:{settings.http_port}",
            "SUBMISSION_HOST": settings.host,
            "SUBMISSION_PORT": str(settings.submission_port),
            "SUBMISSIONS_PORT": str(settings.submissions_port),
        } | _outside(settings)
    if name == "delivery":
        return {
            "BOUNCE_DOMAIN": settings.bounce_domain,
            "PUBLIC_URL": settings.url,
            "MX_PORT": str(settings.mx_port),
            "SMARTHOST": settings.smarthost,
            "PER_DESTINATION": str(settings.per_destination),
        } | _outside(settings)
    return {}


def _outside(settings: LocalSettings) -> dict[str, str]:
    """How services that connect to the world do it."""
    told = {
        "RESOLVERS": settings.resolvers,
        "ALLOWED_NETWORKS": settings.allowed_networks,
        "FETCH_PORTS": settings.fetch_ports,
        "CA_FILE": settings.ca_file,
    }
    return {name: text for name, text in told.items() if text}


def prepare_secrets(settings: LocalSettings) -> dict[str, Secret[str]]:
    """Make what production mounts, where it is missing; return the NATS password of each service that has one."""
    for name, keys in _KEYS.items():
        for key in keys:
            make_secret(settings.secrets / name / key)
    return {name: Secret(make_secret(settings.secrets / "nats" / name, 24)) for name in _EVENTS}


def command(name: str) -> list[str]:
    """Return the command line of service `name`."""
    return [sys.executable, "-m", f"services.{name}.main"]
