"""The peer of the way out: Postfix that takes mail by AUTH over TLS, queues it with fsync and relays it.

Its passwords are checked by Dovecot's auth service (one constant password: nothing is looked up), its queue is its own,
on the same disk as ours. It neither seals its queue nor signs with DKIM; both are in its favour, and so are the
settings: no in_flow_delay, up to 50 connections to a destination at once, kept open and used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.plan import free_ports
from tests.bench import postfix
from tests.bench.submission import Login

PASSWORD = "correct-horse"
# To one destination at once; ours gets as many.
CONNECTIONS = 50

_MAIN_CF = """
relayhost = {relayhost}
transport_maps = {transports}
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_tls_cert_file = {base}/tls.crt
smtpd_tls_key_file = {base}/tls.key
smtp_tls_security_level = may
smtp_host_lookup = native
smtp_destination_concurrency_limit = {connections}
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = {cached}
"""

_MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
"""

_DOVECOT = """
protocols =
auth_mechanisms = plain
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
"""


@dataclass(frozen=True)
class RelayPeer:
    """A running peer: where it takes mail, and its processes' common parents."""

    port: int
    parents: Mapping[str, int]

    def logins(self, count: int) -> list[Login]:
        """Return as many users."""
        return [Login(f"sender{number}@relay.peer.test", PASSWORD) for number in range(count)]


def missing() -> str | None:
    """Say what the peer would need and this machine does not have; None if all is there."""
    return postfix.not_installed("postfix", "dovecot", "openssl")


@contextmanager
def running_relay_peer(base: Path, relayhost: str = "", routes: Mapping[str, str] | None = None) -> Iterator[RelayPeer]:
    """Start it in the empty folder `base`, and stop it afterwards.

    All mail goes to `relayhost` ("[address]:port"), or that for the domains in `routes` to the host that stands there.
    """
    port, auth = free_ports(2)
    _write_configuration(base, port, auth, (relayhost, routes or {}))
    with postfix.running(base, auth, port) as dovecot:
        master = int((base / "queue" / "pid" / "master.pid").read_text(encoding="ascii"))
        yield RelayPeer(port, {"postfix": master, "dovecot": dovecot})


def _write_configuration(base: Path, port: int, auth: int, way: tuple[str, Mapping[str, str]]) -> None:
    relayhost, routes = way
    postfix.prepare(base)
    settings: dict[str, object] = {
        "base": base,
        "port": port,
        "auth": auth,
        "connections": CONNECTIONS,
        "password": PASSWORD,
        "relayhost": relayhost,
        "transports": _inline(routes),
        "cached": ", ".join(dict.fromkeys((*routes.values(), relayhost))),
    }
    texts = [text.format(**settings) for text in (_MAIN_CF, _MASTER_CF, _DOVECOT)]
    postfix.write(base, postfix.Configuration("relay.peer.test", *texts))
    postfix.output(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=relay.peer.test", "-days", "2", "-keyout", str(base / "tls.key"), "-out", str(base / "tls.crt"),
    )  # fmt: skip


def _inline(routes: Mapping[str, str]) -> str:
    entries = ", ".join(f"{domain}=smtp:{host}" for domain, host in routes.items())
    return f"inline:{{{entries}}}" if entries else ""
