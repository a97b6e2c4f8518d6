"""Everything that the recipients of a run can read, as they read it: with the client library.

Each reader comes from an address of its own, because limits count by address, and one test reads more in a minute than
any person would.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from libs.client.api import Client
from libs.client.errors import RefusedError
from libs.client.http import COOKIE
from tests.support.ledger_check import StoredCopy
from tests.support.ledger_journal import Ledger
from tests.support.ledger_mail import Run
from tests.support.platform import RunningPlatform

# Where the readers come from; it may stand in no log either.
READERS = "127.77."
_PASSWORD = "correct horse battery"
_MOST = 100_000
_INBOXES_PER_READER = 60
_READERS = 3
_GPG_FILES = 200


@dataclass(frozen=True)
class Member:
    """An account of the run."""

    address: str
    client: Client


class Mailboxes:
    """The mailboxes of one run."""

    def __init__(self, platform: RunningPlatform, run: Run) -> None:
        """Prepare to read."""
        self._platform = platform
        self._run = run
        self._clients: list[Client] = []
        self.members: list[Member] = []

    def close(self) -> None:
        """Release all connections."""
        for client in self._clients:
            client.close()

    def client(self) -> Client:
        """Return a client from an address that no other has."""
        number = len(self._clients)
        transport = httpx.HTTPTransport(local_address=f"{READERS}{number // 250}.{number % 250 + 1}")
        self._clients.append(Client(self._platform.url, transport=transport))
        return self._clients[-1]

    def sign_up(self, count: int) -> None:
        """Make the accounts of members 0 to `count` - 1."""
        for number in range(count):
            client = self.client()
            client.signup(self._run.member(number), _PASSWORD)
            self.members.append(Member(self._run.member(number), client))

    def sign_in(self, count: int) -> None:
        """Enter the accounts of members 0 to `count` - 1, which another start of the platform has seen signed up."""
        for number in range(count):
            client = self.client()
            client.login(self._run.member(number), _PASSWORD)
            self.members.append(Member(self._run.member(number), client))

    def read(self, ledger: Ledger) -> list[StoredCopy]:
        """Return everything that members and the inboxes of `ledger` hold."""
        named = {one for transaction in ledger.transactions.values() for one in transaction.recipients}
        inboxes = sorted(one for one in named if one.endswith("@" + self._run.public_domain))
        parts = [inboxes[at : at + _INBOXES_PER_READER] for at in range(0, len(inboxes), _INBOXES_PER_READER)]
        readers = [self.client() for _ in parts]
        with ThreadPoolExecutor(_READERS) as pool:
            members = pool.map(of_member, self.members)
            public = pool.map(lambda pair: list(_of_inboxes(*pair)), zip(readers, parts, strict=True))
            copies = [copy for found in (*members, *public) for copy in found]
        return copies


def of_member(member: Member) -> list[StoredCopy]:
    """Return everything that a member holds."""
    copies = []
    for mail in member.client.list(folder="", limit=_MOST):
        body = _readable(lambda mail=mail: member.client.read(mail.id))  # type: ignore[misc]
        copies.append(StoredCopy(member.address, mail.id, mail.envelope or {}, body))
    return copies


def _of_inboxes(client: Client, addresses: Sequence[str]) -> Iterator[StoredCopy]:
    for address in addresses:
        for mail in client.public(address, limit=_MOST).mails:
            body = _readable(lambda mail=mail, address=address: client.read_public(address, mail.id))  # type: ignore[misc]
            yield StoredCopy(address, mail.id, mail.envelope or {}, body)


def _readable(read: Callable[[], bytes]) -> bytes | None:
    """Return what `read` does, None if what is listed is not there or does not open."""
    try:
        return read()
    except RefusedError:
        return None


def read_with_gpg(platform: RunningPlatform, member: Member, message_ids: Iterable[str], gpg: str) -> dict[str, bytes]:
    """Return the bodies of these messages, opened by GnuPG with the exported key."""
    wanted = list(message_ids)[:_GPG_FILES]
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home, files = Path(folder) / "home", Path(folder) / "mails"
        home.mkdir(mode=0o700)
        files.mkdir()
        headers = {"Cookie": f"{COOKIE}={member.client.token}"}
        transport = httpx.HTTPTransport(local_address=f"{READERS}255.1")
        with httpx.Client(base_url=platform.url, headers=headers, transport=transport) as http:
            for message_id in wanted:
                answer = http.get(f"/v1/messages/{message_id}/body")
                (files / f"{message_id}.gpg").write_bytes(answer.raise_for_status().content)
        base = [gpg, "--homedir", str(home), "--batch", "--no-tty", "--quiet", "--trust-model", "always"]
        environment = {**os.environ, "LC_ALL": "C"}
        run = {"check": True, "env": environment, "timeout": 120}
        subprocess.run([*base, "--import"], input=member.client.export_key().encode(), capture_output=True, **run)  # type: ignore[call-overload]
        sealed = [str(files / f"{message_id}.gpg") for message_id in wanted]
        subprocess.run([*base, "--decrypt-files", *sealed], capture_output=True, **run)  # type: ignore[call-overload]
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=30)
        return {message_id: (files / message_id).read_bytes() for message_id in wanted}
