"""What is sealed here opens with GnuPG, byte for byte; what GnuPG makes is taken here."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from libs.client import keys
from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import InvalidError
from libs.runtime.ids import new_id
from services.crypto.domain.certificates import Directed, accept, seal_to, wkd_hash_of
from services.crypto.domain.directory import Entry
from services.crypto.domain.model import Mail, Sealed
from tests.support.clock import ManualClock
from tests.support.tools import require_tool
from tests.unit.crypto.support import CREATED, DOMAIN, World, make_key, world

ADA = Directed(DOMAIN, wkd_hash_of("ada"))
# GnuPG dates its keys by the machine's clock.
NOW = unix_seconds(SystemClock())
MAIL = b"Subject: caf\xc3\xa9\r\n\r\n" + bytes(range(256)) * 64 + b"\r\n.\r\n"


class Gpg:
    """A GnuPG with a home of its own."""

    def __init__(self, home: str) -> None:
        self._program = require_tool("gpg")
        self._environment = {**os.environ, "GNUPGHOME": home, "LC_ALL": "C"}

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """Return standard output; fail if gpg does."""
        command = [self._program, "--batch", "--no-tty", "--quiet", "--passphrase", "", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, env=self._environment, timeout=60)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def decrypt(self, message: bytes) -> bytes:
        """Return the plaintext; fail if it is not integrity protected."""
        return self.run("--decrypt", given=message)

    def fingerprint(self) -> str:
        """Return the fingerprint of the one key in the ring, in lower case."""
        lines = self.run("--list-keys", "--with-colons").decode().splitlines()
        return next(line for line in lines if line.startswith("fpr")).split(":")[9].lower()


@pytest.fixture
def gpg() -> Iterator[Gpg]:
    """Yield a GnuPG whose agent ends with the test. Its socket wants a short path."""
    require_tool("gpg")
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        yield Gpg(home)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=30)


async def sealed_by_platform(here: World, certificate: bytes, body: bytes) -> Sealed:
    account = new_id()
    await here.directory.put(Entry(account, certificate, DOMAIN, wkd_hash_of("ada")))
    (result,) = await here.sealer.seal([Mail(account, new_id(), b'{"subject":"caf\xc3\xa9"}', body)])
    assert isinstance(result, Sealed)
    return result


@pytest.mark.parametrize("body", [b"", b"x", MAIL, MAIL * 200], ids=["empty", "one byte", "17 KB", "3 MB"])
async def test_sealed_mail_opens_byte_for_byte(gpg: Gpg, tmp_path: Path, body: bytes) -> None:
    key = make_key()
    gpg.run("--import", given=key.secret.reveal())
    async with world(tmp_path, ManualClock(SystemClock().now())) as here:
        sealed = await sealed_by_platform(here, key.certificate, body)
    assert gpg.decrypt(sealed.body) == body
    assert gpg.decrypt(sealed.envelope) == b'{"subject":"caf\xc3\xa9"}'


@pytest.mark.parametrize("algorithm", ["future-default", "ed25519"])
async def test_a_key_that_gnupg_made_is_taken(gpg: Gpg, tmp_path: Path, algorithm: str) -> None:
    gpg.run("--quick-generate-key", "Ada Lovelace <ada@sealpost.test>", algorithm, "default", "never")
    if algorithm == "ed25519":
        gpg.run("--quick-add-key", gpg.fingerprint(), "cv25519", "encr", "1y")
    certificate = gpg.run("--export")
    async with world(tmp_path, ManualClock(SystemClock().now())) as here:
        sealed = await sealed_by_platform(here, certificate, MAIL)
    assert sealed.key_id == gpg.fingerprint()
    assert gpg.decrypt(sealed.body) == MAIL


async def test_sealed_mail_names_nobody(gpg: Gpg, tmp_path: Path) -> None:
    key = make_key()
    async with world(tmp_path, ManualClock(SystemClock().now())) as here:
        sealed = await sealed_by_platform(here, key.certificate, MAIL)
    for message in (sealed.envelope, sealed.body):
        listing = gpg.run("--list-packets", "--list-only", given=message).decode()
        assert listing.count(":pubkey enc packet: version 3, algo 18") == 1
        assert "mdc_method: 2" in listing
        assert "signature" not in listing
        assert "user ID" not in listing
        assert "ada@" not in listing


def test_a_generated_key_signs_in_gnupg_and_shows_its_address(gpg: Gpg) -> None:
    key = make_key()
    gpg.run("--import", given=key.secret.reveal())
    listing = gpg.run("--list-secret-keys", "--with-colons").decode()
    assert "<ada@sealpost.test>" in listing
    assert gpg.fingerprint() == key.fingerprint
    signed = gpg.run("--sign", given=b"note")
    assert gpg.run("--verify", "--output", "-", given=signed) == b"note"


def test_an_exported_key_opens_mail_in_gnupg(gpg: Gpg) -> None:
    key = keys.generate("ada@sealpost.test", NOW)
    text = keys.PrivateKey(key.secret, key.fingerprint).armoured()
    gpg.run("--import", given=text.encode())
    assert gpg.decrypt(seal_to(accept(key.certificate, ADA, NOW), MAIL)) == MAIL


def leading_zeros(count: int) -> GeneratedKey:
    """A key whose stored numbers begin with zero bytes, which OpenPGP leaves out: 1 in 256 keys is one."""
    seed = bytes(count) + secrets.token_bytes(32 - count)
    scalar = secrets.token_bytes(31 - count) + bytes(count + 1)
    material = KeyMaterial(Ed25519PrivateKey.from_private_bytes(seed), X25519PrivateKey.from_private_bytes(scalar))
    return build_key("<ada@sealpost.test>", CREATED, material)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_keys_with_leading_zeros_work(gpg: Gpg, count: int) -> None:
    key = leading_zeros(count)
    gpg.run("--import", given=key.secret.reveal())
    assert gpg.decrypt(seal_to(accept(key.certificate, ADA, NOW), MAIL)) == MAIL
    assert gpg.run("--verify", "--output", "-", given=gpg.run("--sign", given=b"note")) == b"note"


def test_a_key_that_gnupg_revoked_is_refused(gpg: Gpg) -> None:
    gpg.run("--quick-generate-key", "<ada@sealpost.test>", "future-default", "default", "never")
    home = Path(gpg._environment["GNUPGHOME"])
    (revocation,) = (home / "openpgp-revocs.d").iterdir()
    gpg.run("--import", given=revocation.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    with pytest.raises(InvalidError, match="certificate_revoked"):
        accept(gpg.run("--export"), ADA, NOW)


def test_other_keys_of_gnupg_are_refused(gpg: Gpg) -> None:
    gpg.run("--quick-generate-key", "<ada@sealpost.test>", "nistp256", "default", "never")
    with pytest.raises(InvalidError, match="certificate_algorithm"):
        accept(gpg.run("--export"), ADA, NOW)
