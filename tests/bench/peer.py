"""The peer that the figures are compared with: Postfix delivering by LMTP into Dovecot with mail_crypt.

Mail counts as stored when it stands, encrypted, in the maildir; that is what our 250 means too. Up to fifty deliveries
run at once, over connections that are kept, in its favour.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.plan import free_ports
from tests.bench import postfix

_MAIN_CF = """
virtual_mailbox_domains = peer.test
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
mynetworks = 127.0.0.0/8
lmtp_destination_concurrency_limit = 50
initial_destination_concurrency = 50
lmtp_connection_cache_on_demand = yes
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
"""

_MASTER_CF = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
lmtp unix - - n - - lmtp
"""

_DOVECOT = """
protocols = lmtp
mail_location = maildir:{base}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
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
    if absent := postfix.not_installed("postfix", "dovecot", "openssl"):
        return absent
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
    with postfix.running(base, lmtp, smtp):
        yield Peer(smtp, "bob@peer.test", base / "mail" / "bob@peer.test")


def _write_configuration(base: Path, smtp: int, lmtp: int) -> None:
    postfix.prepare(base)
    (base / "mail").mkdir()
    shutil.chown(base / "mail", "postfix")
    owner = pwd.getpwnam("postfix")
    settings = {"base": base, "lmtp": lmtp, "smtp": smtp, "uid": owner.pw_uid, "gid": owner.pw_gid}
    texts = [text.format(**settings) for text in (_MAIN_CF, _MASTER_CF, _DOVECOT)]
    postfix.write(base, postfix.Configuration("peer.test", *texts))
    key = str(base / "private.pem")
    postfix.output("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", key)
    postfix.output("openssl", "pkey", "-in", key, "-pubout", "-out", str(base / "public.pem"))
