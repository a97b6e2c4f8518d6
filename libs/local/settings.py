"""What can be set when the platform runs on one machine, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

MEMBER_DOMAIN = "sealpost.test"
PUBLIC_DOMAIN = "public.sealpost.test"
RELAY_DOMAIN = "relay.sealpost.test"
BOUNCE_DOMAIN = "bounces.sealpost.test"


class LocalError(Exception):
    """The platform cannot start; the text says what to do about it."""


@dataclass(frozen=True)
class LocalSettings:
    """Where it keeps its data and where it listens; loopback unless `host` says otherwise.

    Mail to the world goes to its mail servers, or all of it to `smarthost` ("host:port"). The services that connect to
    the world ask `resolvers`, and connect to private networks only where `allowed_networks` names them.

    `policy_overrides` is a YAML file that gives rules of the policy other values; every service gets it.
    `catalogue` is what billing offers and what it costs, instead of the chart's.

    The workers of the MX share the cores with crypto and storage. Each gathers batches of its own: a second one on two
    cores halved them, which cost more than it brought (docs/performance.md).
    """

    home: Path
    host: str = "127.0.0.1"
    http_port: int = 8080
    smtp_port: int = 2525
    submission_port: int = 2587
    submissions_port: int = 2465
    nats_port: int = 0
    smtp_workers: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2))
    member_domain: str = MEMBER_DOMAIN
    public_domain: str = PUBLIC_DOMAIN
    relay_domain: str = RELAY_DOMAIN
    bounce_domain: str = BOUNCE_DOMAIN
    smarthost: str = ""
    # Transactions at once with one domain, and with the smarthost.
    per_destination: int = 20
    mx_port: int = 25
    resolvers: str = ""
    allowed_networks: str = ""
    fetch_ports: str = ""
    ca_file: str = ""
    policy_overrides: Path | None = None
    catalogue: Path | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def data(self) -> Path:
        """Databases and the event store."""
        return self.home / "data"

    @property
    def logs(self) -> Path:
        """What each process prints; no personal data by construction."""
        return self.home / "log"

    @property
    def tls(self) -> Path:
        """The development CA and one certificate for each service."""
        return self.home / "tls"

    @property
    def secrets(self) -> Path:
        """Keys that production mounts."""
        return self.home / "secrets"


def load(environ: Mapping[str, str], root: Path) -> LocalSettings:
    """Read SEALPOST_<NAME>; LocalError names every variable that is unknown or wrong."""
    known = {f"SEALPOST_{field.name.upper()}": field for field in fields(LocalSettings)}
    given: dict[str, object] = {"home": root / ".run"}
    faults: list[str] = []
    for name, text in environ.items():
        if not name.startswith("SEALPOST_") or name in {"SEALPOST_REQUIRE_ALL", "SEALPOST_TEST_MONGODB_URI"}:
            continue
        if name not in known:
            faults.append(f"{name} is not known; known are {', '.join(sorted(known))}")
            continue
        one = known[name]
        if one.type in ("Path", "Path | None"):
            given[one.name] = Path(text).expanduser().resolve()
        elif one.type == "int":
            if not text.isdigit() or int(text) > 65535:
                faults.append(f"{name} must be a number from 0 to 65535")
                continue
            given[one.name] = int(text)
        else:
            given[one.name] = text
    if faults:
        raise LocalError("\n".join(faults))
    return LocalSettings(**given)  # type: ignore[arg-type]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without SEALPOST_ variables: each service gets exactly its own."""
    return {name: text for name, text in os.environ.items() if not name.startswith("SEALPOST_")}
