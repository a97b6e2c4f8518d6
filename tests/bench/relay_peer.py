"""The peer of the way out: Postfix that takes mail by AUTH over TLS, queues it with fsync and relays it.

Its passwords are checked by Dovecot's auth service (one constant password: nothing is looked up), its queue is its own,
on the same disk as ours. It neither seals its queue nor signs with DKIM; both are in its favour, and so are the
settings: no in_flow_delay, up to 50 connections to a destination at once, kept open and used again.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.plan import free_ports
from tests.bench.peer import tool, wait_for_port
from tests.bench.submission import Login
from tests.support.tools import find_tool

PASSWORD = "correct-horse"

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = {sbin}
daemon_directory = {libexec}
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.peer.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
relayhost = {relayhost}
transport_maps = {transports}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_tls_cert_file = {base}/tls.crt
smtpd_tls_key_file = {base}/tls.key
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtp_tls_security_level = may
smtp_host_lookup = native
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = {cached}
maillog_file = {base}/postfix.log
maillog_file_prefixes = {base}
default_process_limit = 100
in_flow_delay = 0
smtputf8_enable = no
"""

_MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT = """
base_dir = {base}/dovecot
state_dir = {base}/dovecot-state
log_path = {base}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain
default_internal_user = dovecot
default_login_user = dovenull
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
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
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
    return next((f"{name} is not installed" for name in ("postfix", "dovecot", "openssl") if not find_tool(name)), None)


@contextmanager
def running_relay_peer(base: Path, relayhost: str = "", routes: Mapping[str, str] | None = None) -> Iterator[RelayPeer]:
    """Start it in the empty folder `base`, and stop it afterwards.

    All mail goes to `relayhost` ("[address]:port"), or that for the domains in `routes` to the host that stands there.
    """
    port, auth = free_ports(2)
    _write_configuration(base, port, auth, (relayhost, routes or {}))
    dovecot = subprocess.Popen([tool("dovecot"), "-F", "-c", str(base / "dovecot.conf")])
    postfix = [tool("postfix"), "-c", str(base / "etc")]
    try:
        wait_for_port(auth)
        with (base / "start.log").open("wb") as log:
            subprocess.run([*postfix, "start"], check=True, stdout=log, stderr=log)
        wait_for_port(port)
        master = int((base / "queue" / "pid" / "master.pid").read_text(encoding="ascii"))
        yield RelayPeer(port, {"postfix": master, "dovecot": dovecot.pid})
    finally:
        subprocess.run([*postfix, "stop"], check=False, capture_output=True)
        dovecot.terminate()
        dovecot.wait(20)


def _write_configuration(base: Path, port: int, auth: int, way: tuple[str, Mapping[str, str]]) -> None:
    relayhost, routes = way
    base.chmod(0o755)
    for name in ("etc", "queue", "data", "dovecot", "dovecot-state"):
        (base / name).mkdir()
    shutil.chown(base / "data", "postfix")
    settings: dict[str, object] = {
        "base": base,
        "sbin": Path(tool("postfix")).parent,
        "libexec": _output(tool("postconf"), "-h", "-d", "daemon_directory"),
        "port": port,
        "auth": auth,
        "password": PASSWORD,
        "relayhost": relayhost,
        "transports": _inline(routes),
        "cached": ", ".join(dict.fromkeys((*routes.values(), relayhost))),
    }
    (base / "etc" / "main.cf").write_text(_MAIN_CF.format(**settings), encoding="utf-8")
    (base / "etc" / "master.cf").write_text(_MASTER_CF.format(**settings), encoding="utf-8")
    (base / "dovecot.conf").write_text(_DOVECOT.format(**settings), encoding="utf-8")
    _output(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=relay.peer.test", "-days", "2", "-keyout", str(base / "tls.key"), "-out", str(base / "tls.crt"),
    )  # fmt: skip


def _inline(routes: Mapping[str, str]) -> str:
    entries = ", ".join(f"{domain}=smtp:{host}" for domain, host in routes.items())
    return f"inline:{{{entries}}}" if entries else ""


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
