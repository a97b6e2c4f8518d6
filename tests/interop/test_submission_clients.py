"""Real clients against submission: swaks, msmtp and curl, on the port with STARTTLS and on the one with TLS at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.ingest_fakes import ADA_PASSWORD
from tests.support.ingest_process import Mx, run_client, run_mx
from tests.support.rpc import certificates
from tests.support.tools import require_tool

# One for all of them: it takes seconds to start.
pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA = "ada@sealpost.test"
PORTS = ("submission", "submissions")
# With the fields that msmtp adds where they are missing.
MAIL = (
    f"From: Ada <{ADA}>\nTo: x@example.com\nSubject: Hello\nDate: Sun, 22 Nov 2026 18:00:00 +0100\n"
    "Message-ID: <1@sealpost.test>\n\nA line.\n.\n..dots\n"
)
# As it is on the wire.
SENT = MAIL.replace("\n", "\r\n").encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Mx]:
    async with run_mx(workers=1, wrong_proof_seconds=0.1) as mx:
        yield mx


@pytest.fixture
def mx(running: Mx) -> Mx:
    """Submission, to which nothing was submitted yet."""
    running.delivery.items.clear()
    return running


def authority() -> str:
    return str(certificates("smtp") / "ca.crt")


def submitted(mx: Mx) -> Any:
    """Return the one thing that was submitted."""
    (item,) = mx.delivery.submitted
    assert (item.account_id, item.mail_from, list(item.recipients)) == ("ada", ADA, ["x@example.com"])
    return item


def swaks(mx: Mx, port: str, *more: str, password: str = ADA_PASSWORD) -> tuple[str, ...]:
    tls = ("--tls" if port == "submission" else "--tls-on-connect", "--tls-verify", "--tls-ca-path", authority())
    common = ("--server", "localhost", "--port", str(mx.ports[port]), "--from", ADA, "--to", "x@example.com")
    login = ("--auth-user", ADA, "--auth-password", password, "--ehlo", "laptop.home.example")
    return (require_tool("swaks"), *common, *tls, *login, *more)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_swaks_submits(mx: Mx, port: str, mechanism: str) -> None:
    code, said = await run_client(
        *swaks(mx, port, "--auth", mechanism, "--body", "A line.", "--h-Subject", "from swaks")
    )
    assert code == 0, said
    content = submitted(mx).content
    assert b"\r\nSubject: from swaks\r\n" in content
    # Nothing is put in front, and nothing of the client is in it but what it wrote itself.
    assert content.startswith(b"Date: ")
    assert b"Received:" not in content
    assert b"laptop.home.example" not in content


@pytest.mark.parametrize("port", PORTS)
async def test_swaks_pipelines(mx: Mx, port: str) -> None:
    code, said = await run_client(*swaks(mx, port, "--auth", "PLAIN", "--pipeline"))
    assert code == 0, said
    submitted(mx)


@pytest.mark.parametrize("port", PORTS)
async def test_swaks_hears_that_the_password_is_wrong(mx: Mx, port: str) -> None:
    code, said = await run_client(*swaks(mx, port, "--auth", "PLAIN", password="wrong"))
    assert code == 28, said
    assert "535 5.7.8" in said
    assert mx.delivery.submitted == []


async def test_swaks_cannot_sign_in_without_tls(mx: Mx) -> None:
    common = ("--server", f"127.0.0.1:{mx.ports['submission']}", "--from", ADA, "--to", "x@example.com")
    login = ("--auth", "PLAIN", "--auth-user", ADA, "--auth-password", ADA_PASSWORD)
    code, said = await run_client(require_tool("swaks"), *common, *login)
    assert code == 28, said
    code, said = await run_client(require_tool("swaks"), *common)
    assert code == 23, said
    assert "530 5.7.0" in said
    assert mx.delivery.submitted == []


async def test_swaks_hears_that_the_sender_is_somebody_else(mx: Mx) -> None:
    code, said = await run_client(*swaks(mx, "submission", "--auth", "PLAIN", "--from", "bob@sealpost.test"))
    assert code == 23, said
    assert "553 5.7.1" in said
    assert mx.delivery.submitted == []


def msmtp_settings(mx: Mx, port: str, directory: Path, auth: str, password: str = ADA_PASSWORD) -> str:
    """Write msmtp's configuration, with the password in it as its users have it, and return its path."""
    path = directory / "msmtprc"
    lines = {
        "host": "localhost",
        "port": str(mx.ports[port]),
        "from": ADA,
        "tls": "on",
        "tls_starttls": "on" if port == "submission" else "off",
        "tls_trust_file": authority(),
        "auth": auth,
        "user": ADA,
        "password": password,
    }
    path.write_text("account default\n" + "".join(f"{name} {value}\n" for name, value in lines.items()))
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("auth", ["plain", "login", "on"])
async def test_msmtp_submits(mx: Mx, tmp_path: Path, port: str, auth: str) -> None:
    msmtp = require_tool("msmtp")
    code, said = await run_client(
        msmtp, "-C", msmtp_settings(mx, port, tmp_path, auth), "x@example.com", stdin=MAIL.encode()
    )
    assert code == 0, said
    assert submitted(mx).content == SENT


async def test_msmtp_hears_that_the_password_is_wrong(mx: Mx, tmp_path: Path) -> None:
    settings = msmtp_settings(mx, "submission", tmp_path, "plain", "wrong")
    code, said = await run_client(require_tool("msmtp"), "-C", settings, "x@example.com", stdin=MAIL.encode())
    # EX_NOPERM
    assert code == 77, said
    assert "535" in said
    assert mx.delivery.submitted == []


def curl(mx: Mx, port: str, mail: Path, *more: str) -> tuple[str, ...]:
    scheme, tls = ("smtps", ()) if port == "submissions" else ("smtp", ("--ssl-reqd",))
    url = f"{scheme}://localhost:{mx.ports[port]}/laptop.home.example"
    quiet = ("--silent", "--show-error", "--cacert", authority(), *tls)
    envelope = ("--mail-from", ADA, "--mail-rcpt", "x@example.com", "--upload-file", str(mail))
    return (require_tool("curl"), "--disable", *quiet, *envelope, *more, url)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("options", [(), ("--login-options", "AUTH=LOGIN"), ("--sasl-ir",)])
async def test_curl_submits(mx: Mx, tmp_path: Path, port: str, options: tuple[str, ...]) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(SENT)
    code, said = await run_client(*curl(mx, port, mail, "--user", f"{ADA}:{ADA_PASSWORD}", *options))
    assert code == 0, said
    assert submitted(mx).content == SENT


async def test_curl_hears_every_refusal(mx: Mx, tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(SENT)
    # CURLE_LOGIN_DENIED, and CURLE_SEND_ERROR for a MAIL that is refused.
    code, said = await run_client(*curl(mx, "submissions", mail, "--user", f"{ADA}:wrong"))
    assert code == 67, said
    code, said = await run_client(*curl(mx, "submissions", mail))
    assert (code, "530" in said) == (55, True), said
    code, said = await run_client(
        *curl(mx, "submission", mail, "--sasl-authzid", "bob", "--user", f"{ADA}:{ADA_PASSWORD}")
    )
    assert code == 67, said
    assert mx.delivery.submitted == []


async def test_curl_with_a_large_mail(mx: Mx, tmp_path: Path) -> None:
    large = SENT + b"".join(b"%08d some more text to make the line longer\r\n" % number for number in range(200_000))
    mail = tmp_path / "mail.eml"
    mail.write_bytes(large)
    code, said = await run_client(*curl(mx, "submissions", mail, "--user", f"{ADA}:{ADA_PASSWORD}"))
    assert code == 0, said
    assert submitted(mx).content == large
