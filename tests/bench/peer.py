"""The peer that the figures are compared with: Postfix delivering by LMTP into Dovecot with mail_crypt.

Both run from a scratch folder, on loopback, beside whatever this machine may have: own configuration, own queue, own
sockets. Mail counts as stored when it stands, encrypted, in the maildir; that is what our 250 means too. Settings that
would slow the peer for reasons of its own (in_flow_delay, one delivery at a time) are set in its favour.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.plan import free_ports
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
myhostname = peer.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = peer.test
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {base}/postfix.log
maillog_file_prefixes = {base}
default_process_limit = 100
lmtp_destination_concurrency_limit = 50
initial_destination_concurrency = 50
lmtp_connection_cache_on_demand = yes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
in_flow_delay = 0
smtputf8_enable = no
"""

_MASTER_CF = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
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
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT = """
base_dir = {base}/dovecot
state_dir = {base}/dovecot-state
log_path = {base}/dovecot.log
protocols = lmtp
ssl = no
mail_location = maildir:{base}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
mail_plugins = $mail_plugins mail_crypt
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u
}}
plugin {{
  mail_crypt_global_private_key = <{base}/private.pem
  mail_crypt_global_public_key = <{base}/public.pem
  mail_crypt_save_version = 2
}}
service lmtp {{
  process_limit = 50
  client_limit = 1
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
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
class Peer:
    """A running peer: where it takes mail for which recipient, and where the mail ends up."""

    port: int
    recipient: str
    maildir: Path

    def stored(self) -> int:
        """Return how many mails stand in the maildir."""
        new = self.maildir / "new"
        return sum(1 for _ in os.scandir(new)) if new.exists() else 0


def missing() -> str | None:
    """Say what the peer would need and this machine does not have; None if all is there."""
    for name in ("postfix", "dovecot", "openssl"):
        if find_tool(name) is None:
            return f"{name} is not installed"
    if os.geteuid() != 0:
        return "Postfix needs root"
    if not any(Path("/usr/lib/dovecot/modules").glob("*mail_crypt*")):
        return "Dovecot's mail_crypt plugin is not installed"
    return None


@contextmanager
def running_peer(base: Path) -> Iterator[Peer]:
    """Start Postfix and Dovecot in the empty folder `base`, and stop both afterwards."""
    smtp, lmtp = free_ports(2)
    _write_configuration(base, smtp, lmtp)
    dovecot = subprocess.Popen([tool("dovecot"), "-F", "-c", str(base / "dovecot.conf")])
    postfix = [tool("postfix"), "-c", str(base / "etc")]
    try:
        with (base / "start.log").open("wb") as log:
            subprocess.run([*postfix, "start"], check=True, stdout=log, stderr=log)
        wait_for_port(smtp)
        wait_for_port(lmtp)
        yield Peer(smtp, "bob@peer.test", base / "mail" / "bob@peer.test")
    finally:
        subprocess.run([*postfix, "stop"], check=False, capture_output=True)
        dovecot.terminate()
        dovecot.wait(20)


def _write_configuration(base: Path, smtp: int, lmtp: int) -> None:
    base.chmod(0o755)
    for name in ("etc", "queue", "data", "mail", "dovecot", "dovecot-state"):
        (base / name).mkdir()
    shutil.chown(base / "data", "postfix")
    shutil.chown(base / "mail", "postfix")
    libexec = subprocess.run(
        [tool("postconf"), "-h", "-d", "daemon_directory"], check=True, capture_output=True, text=True
    )
    sbin = Path(tool("postfix")).parent
    settings = {"base": base, "sbin": sbin, "libexec": libexec.stdout.strip(), "lmtp": lmtp, "smtp": smtp}
    (base / "etc" / "main.cf").write_text(_MAIN_CF.format(**settings))
    (base / "etc" / "master.cf").write_text(_MASTER_CF.format(**settings))
    key = base / "private.pem"
    generate = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(key)]
    subprocess.run(generate, check=True, capture_output=True)
    public = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(base / "public.pem")]
    subprocess.run(public, check=True, capture_output=True)
    owner = (base / "mail").stat()
    ids = {"uid": owner.st_uid, "gid": _group_of("postfix")}
    (base / "dovecot.conf").write_text(_DOVECOT.format(base=base, lmtp=lmtp, **ids))


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def tool(name: str) -> str:
    """Return the path of a program. Raises RuntimeError."""
    path = find_tool(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed")
    return path


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
