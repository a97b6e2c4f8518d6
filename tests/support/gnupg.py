"""A GnuPG with a key ring of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.tools import require_tool


@dataclass(frozen=True)
class Decrypted:
    """What came out of a message: `signers` are the fingerprints of good signatures, `status` the words of gpg."""

    plaintext: bytes
    signers: list[str]
    status: list[str]


class Gpg:
    """Runs gpg on one home."""

    def __init__(self, home: str) -> None:
        self._program = require_tool("gpg")
        self.home = home
        self._environment = {**os.environ, "GNUPGHOME": home, "LC_ALL": "C"}

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """Return standard output; fail if gpg does."""
        command = [self._program, "--batch", "--no-tty", "--quiet", "--trust-model", "always", "--passphrase", ""]
        done = subprocess.run(
            [*command, *arguments], input=given, capture_output=True, env=self._environment, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def make_key(self, user_id: str, *, when: str = "", subkey: str = "never") -> str:
        """Make a key that signs, with a subkey that decrypts for so long ("1d"); return its fingerprint."""
        past = ["--faked-system-time", when] if when else []
        self.run(*past, "--quick-generate-key", user_id, "ed25519", "sign", "never")
        fingerprint = self.fingerprint(user_id)
        self.run(*past, "--quick-add-key", fingerprint, "cv25519", "encr", subkey)
        return fingerprint

    def fingerprint(self, user_id: str) -> str:
        """Return the fingerprint of a key, in lower case."""
        lines = self.run("--list-keys", "--with-colons", user_id).decode().splitlines()
        return next(line for line in lines if line.startswith("fpr")).split(":")[9].lower()

    def wkd_hash(self, user_id: str) -> str:
        """Return the name under which a key directory lists a key."""
        lines = self.run("--list-keys", "--with-wkd-hash", user_id).decode().splitlines()
        return next(line.strip().partition("@")[0] for line in lines if line.startswith(" ") and "@" in line)

    def open(self, message: bytes) -> Decrypted:
        """Decrypt a message and check its signature; fail unless it is intact."""
        read, write = os.pipe()
        command = [self._program, "--batch", "--no-tty", "--quiet", "--trust-model", "always", "--passphrase", ""]
        with os.fdopen(read, encoding="utf-8", errors="replace") as status:
            done = subprocess.run(
                [*command, "--status-fd", str(write), "--decrypt"],
                input=message,
                capture_output=True,
                env=self._environment,
                pass_fds=[write],
                timeout=60,
            )
            os.close(write)
            lines = [line.removeprefix("[GNUPG:] ").strip() for line in status]
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        assert "DECRYPTION_OKAY" in lines and "GOODMDC" in lines
        signers = [line.split()[1].lower() for line in lines if line.startswith("VALIDSIG ")]
        return Decrypted(done.stdout, signers, lines)


@contextmanager
def gnupg() -> Iterator[Gpg]:
    """Give one whose agent ends with the block. Its socket wants a short path."""
    require_tool("gpg")
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        try:
            yield Gpg(home)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=30)
