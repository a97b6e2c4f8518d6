"""Postfix and Dovecot, as the peers of both directions run them (peer, relay_peer).

Both run from a scratch folder, on loopback, beside whatever this machine may have: own configuration, own queue, own
sockets. Settings that would slow them for reasons of their own (in_flow_delay, limits for each client) are off.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import find_tool

_START_SECONDS = 20.0

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = {sbin}
daemon_directory = {libexec}
mail_owner = postfix
setgid_group = postdrop
myhostname = {hostname}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {base}/postfix.log
maillog_file_prefixes = {base}
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
smtputf8_enable = no
"""

_MASTER_CF = """
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
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
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
class Configuration:
    """What one peer adds: its host name, and lines of main.cf, master.cf (its smtpd above all) and dovecot.conf."""

    hostname: str
    main: str
    master: str
    dovecot: str


def write(base: Path, made: Configuration) -> None:
    """Write the configuration into the folder `base`, made by `prepare`."""
    libexec = output(tool("postconf"), "-h", "-d", "daemon_directory")
    common = {"base": base, "sbin": Path(tool("postfix")).parent, "libexec": libexec, "hostname": made.hostname}
    for name, text in (
        ("etc/main.cf", _MAIN_CF.format(**common) + made.main),
        ("etc/master.cf", made.master + _MASTER_CF),
        ("dovecot.conf", _DOVECOT.format(**common) + made.dovecot),
    ):
        (base / name).write_text(text, encoding="utf-8")


def prepare(base: Path) -> None:
    """Make the folders in the empty folder `base`, which others than its owner have to pass."""
    base.chmod(0o755)
    for name in ("etc", "queue", "data", "dovecot", "dovecot-state"):
        (base / name).mkdir()
    shutil.chown(base / "data", "postfix")


@contextmanager
def running(base: Path, dovecot_port: int, smtp_port: int) -> Iterator[int]:
    """Start both, Dovecot first, and stop them afterwards; give the process id of Dovecot."""
    dovecot = subprocess.Popen([tool("dovecot"), "-F", "-c", str(base / "dovecot.conf")])
    postfix = [tool("postfix"), "-c", str(base / "etc")]
    try:
        wait_for_port(dovecot_port)
        with (base / "start.log").open("wb") as log:
            subprocess.run([*postfix, "start"], check=True, stdout=log, stderr=log)
        wait_for_port(smtp_port)
        yield dovecot.pid
    finally:
        subprocess.run([*postfix, "stop"], check=False, capture_output=True)
        dovecot.terminate()
        dovecot.wait(20)


def tool(name: str) -> str:
    """Return the path of a program. Raises RuntimeError."""
    path = find_tool(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed")
    return path


def output(*command: str) -> str:
    """Return what a program says. Raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def not_installed(*names: str) -> str | None:
    """Say which of these programs this machine does not have; None if it has all."""
    return next((f"{name} is not installed" for name in names if find_tool(name) is None), None)


def wait_for_port(port: int) -> None:
    """Return once something listens on a port of the loopback. Raises RuntimeError."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError as refused:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing listens on port {port}") from refused
            time.sleep(0.1)
