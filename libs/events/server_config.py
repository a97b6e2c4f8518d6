"""The configuration of nats-server: TLS for everybody, one user per service, and each may do what its part needs.

JetStream is used through subjects, so permissions on subjects are permissions on streams: who publishes may make and
describe its stream; who consumes may do that too, for it may be there first, and make, describe, pull from and
acknowledge its own durable consumer; everybody has an inbox that nobody else can read. Nothing else is
allowed, and there is no user without a password.

Facts go one way. Services tell them, may put a salt where there is none and read it, and hear how far they are counted;
none may read facts. analytics reads them, in consumers that last as long as itself, keeps its log of units, and says
what is counted; it removes salts and cannot read them: who has the pseudonyms of units must not have what makes them.

`sync_interval: always` makes a publish acknowledgement mean "on disk": the pending event is forgotten after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from libs.events.streams import FACTS, FILE_BYTES, MEMORY_BYTES, SALTS, UNITS, stream_of
from libs.runtime.secret import Secret

_PASSWORD = re.compile(r"[A-Za-z0-9_-]{16,200}\Z")
_API = "$JS.API"
COUNTED = "counted.*"
"""counted.<emitter, 16 hexadecimal digits>: analytics tells an emitter how far its facts are counted."""


@dataclass(frozen=True)
class Rights:
    """What a service does with events.

    `publishes` are subjects; `listens` are subjects heard live (EventBus.subscribe_all); `consumes` maps the name of a
    durable consumer to its subject (EventBus.consume). `facts`: whether the service records facts
    (libs.events.facts), or counts them.
    """

    publishes: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    consumes: Mapping[str, str] = field(default_factory=dict)
    facts: Literal["", "records", "counts"] = ""


RIGHTS: Mapping[str, Rights] = {
    "storage": Rights(publishes=("mail.stored.v1",)),
    "delivery": Rights(
        publishes=("delivery.queued.v1", "mail.delivered.v1"), listens=("delivery.queued.v1",), facts="records"
    ),
    "ingest": Rights(facts="records"),
    "gateway": Rights(listens=("mail.stored.v1",), facts="records"),
    "analytics": Rights(facts="counts"),
    "accounts": Rights(publishes=("role.changed.v1",)),
    "billing": Rights(
        consumes={"billing": "mail.stored.v1", "billing-delivered": "mail.delivered.v1"}, facts="records"
    ),
    "retention": Rights(consumes={"retention-roles": "role.changed.v1"}),
}

_DESCRIBED = {"records": (FACTS, SALTS), "counts": (FACTS, UNITS)}
_FACTS_PUBLISH = {
    "records": (FACTS.subject, SALTS.subject, f"{_API}.DIRECT.GET.{SALTS.name}.{SALTS.subject}"),
    "counts": (
        COUNTED,
        UNITS.subject,
        f"{_API}.STREAM.PURGE.{SALTS.name}",
        f"{_API}.STREAM.PURGE.{UNITS.name}",
        # Consumers of one subject each, under any name, without acknowledgements.
        *(
            f"{_API}.CONSUMER.{verb}"
            for stream in (FACTS, UNITS)
            for verb in (
                f"CREATE.{stream.name}.*.{stream.subject}",
                f"DELETE.{stream.name}.*",
                f"INFO.{stream.name}.*",
                f"MSG.NEXT.{stream.name}.*",
            )
        ),
    ),
}


@dataclass(frozen=True)
class NatsServer:
    """One nats-server: `passwords` by service name, `tls_dir` with ca.crt, tls.crt and tls.key.

    `monitor_port` 0 means no monitoring; sizes in bytes.
    """

    port: int
    store_dir: Path
    tls_dir: Path
    passwords: Mapping[str, Secret[str]]
    host: str = "127.0.0.1"
    monitor_port: int = 0
    max_store_bytes: int = FILE_BYTES
    rights: Mapping[str, Rights] = field(default_factory=lambda: RIGHTS)


def server_config(server: NatsServer) -> str:
    """Return the configuration file; it holds passwords, so keep it 0600.

    Raises: ValueError for a user without rights or with a password that is short or would need quoting.
    """
    users = [_user(name, password, server.rights) for name, password in sorted(server.passwords.items())]
    config = {
        "server_name": "sealpost",
        "host": server.host,
        "port": server.port,
        "max_payload": 262144,
        "max_pending": 16777216,
        "write_deadline": "5s",
        "ping_interval": "20s",
        "ping_max": 2,
        "lame_duck_duration": "30s",
        "jetstream": {
            "store_dir": str(server.store_dir),
            "max_memory_store": MEMORY_BYTES,
            "max_file_store": server.max_store_bytes,
            "sync_interval": "always",
        },
        "tls": {
            "ca_file": str(server.tls_dir / "ca.crt"),
            "cert_file": str(server.tls_dir / "tls.crt"),
            "key_file": str(server.tls_dir / "tls.key"),
            "verify": True,
            "timeout": 5,
        },
        "authorization": {"timeout": 5, "users": users},
    }
    if server.monitor_port:
        config["http"] = f"{server.host}:{server.monitor_port}"
    return json.dumps(config, indent=2) + "\n"


def permissions(name: str, rights: Rights) -> dict[str, object]:
    """Return NATS permissions for user `name`; whatever is not listed is refused."""
    publish = list(rights.publishes)
    used = (*rights.publishes, *rights.consumes.values())
    for stream in sorted({stream_of(subject).name for subject in used}):
        publish += _describe(stream)
    for durable, subject in sorted(rights.consumes.items()):
        place = f"{stream_of(subject).name}.{durable}"
        publish += [
            f"{_API}.CONSUMER.CREATE.{place}.{subject}",
            f"{_API}.CONSUMER.INFO.{place}",
            f"{_API}.CONSUMER.MSG.NEXT.{place}",
            f"$JS.ACK.{place}.>",
        ]
    publish += _FACTS_PUBLISH.get(rights.facts, ())
    for described in _DESCRIBED.get(rights.facts, ()):
        publish += _describe(described.name)
    listens = [*rights.listens, f"{inbox_prefix(name)}.>"]
    if rights.facts == "records":
        listens.append(COUNTED)
    return {"publish": {"allow": publish} if publish else {"deny": [">"]}, "subscribe": {"allow": listens}}


def _describe(stream: str) -> list[str]:
    return [f"{_API}.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE", "INFO")]


def inbox_prefix(name: str) -> str:
    """Return the first tokens of the inboxes of user `name`: nobody else may subscribe to them."""
    return f"_INBOX.{name}"


def _user(name: str, password: Secret[str], rights: Mapping[str, Rights]) -> dict[str, object]:
    if name not in rights:
        raise ValueError(f"no rights are declared for NATS user {name!r}")
    if not _PASSWORD.match(password.reveal()):
        raise ValueError(f"the NATS password of {name!r} is not 16 to 200 characters of A-Z a-z 0-9 _ -")
    return {"user": name, "password": password.reveal(), "permissions": permissions(name, rights[name])}
