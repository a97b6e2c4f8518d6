"""The program: what goes in and out, the exit codes, and the file between two commands."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import httpx
import pysequoia
import pytest

from libs.client.cli import main
from tests.unit.client.server import NOTICE, SITE, Sealpost, problem

ADA = "ada@sealpost.test"
PASSWORD = "correct horse battery staple"
MAIL = b"From: Bob <bob@example.org>\r\nSubject: Hello\r\n\r\nHello Ada \x1b]0;owned\x07\xff\r\n"
ENVELOPE = {"from": {"name": "Bob\x1b[31m", "address": "bob@example.org"}, "subject": "Hello\u202e"}


class Shell:
    """Runs commands one after the other against one site, with one state file."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch) -> None:
        self.site = Sealpost()
        self.state = directory / "session.json"
        self._capture = capture
        self._patch = patch
        self.out = b""
        self.err = ""

    def run(self, *arguments: str, given: str = "", url: str | None = SITE) -> int:
        self._patch.setattr(sys, "stdin", io.StringIO(given))
        before = ["--url", url] if url else []
        code = main([*before, "--state", str(self.state), *arguments], self.site.transport())
        self.out, err = self._capture.readouterr()
        self.err = err.decode()
        return code


@pytest.fixture
def shell(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, capfdbinary, monkeypatch)


@pytest.fixture
def ada(shell: Shell) -> Shell:
    assert shell.run("signup", ADA, given=PASSWORD + "\n") == 0
    return shell


def test_from_sign_up_to_delete(shell: Shell) -> None:
    assert shell.run("signup", ADA, given=PASSWORD + "\n") == 0
    assert (shell.out, shell.err) == (b"", f"signed up and signed in as {ADA}\n")
    mail_id = shell.site.deliver(ADA, MAIL, ENVELOPE)
    assert shell.run("list", given=PASSWORD, url=None) == 0
    head, row = shell.out.decode().splitlines()
    assert head.split() == ["id", "received", "from", "subject"]
    assert row.split() == [mail_id, "*", "2026-11-22", "17:00", "Bob\\x1b[31m", "Hello\\u202e"]
    assert shell.run("read", mail_id, given=PASSWORD) == 0
    assert shell.out.decode() == "From: Bob <bob@example.org>\nSubject: Hello\n\nHello Ada \\x1b]0;owned\\x07\ufffd\n"
    assert shell.run("read", mail_id, "--raw", given=PASSWORD) == 0
    assert shell.out == MAIL
    assert shell.run("delete", mail_id) == 0
    assert shell.run("delete", mail_id) == 1
    assert shell.err == f"sealpost: no such mail: {mail_id}\n"
    assert shell.run("list", given=PASSWORD) == 0
    assert shell.err == "no mail\n"


def test_list_as_json(ada: Shell) -> None:
    ada.site.deliver(ADA, MAIL, {**ENVELOPE, "preview": "\x7f\x9b"})
    assert ada.run("list", "--json", given=PASSWORD) == 0
    (mail,) = json.loads(ada.out)
    assert mail["envelope"] == {**ENVELOPE, "preview": "\x7f\x9b"}
    assert set(mail) == {"id", "received", "size", "folder", "flags", "expires", "envelope"} | {
        "scheme",
        "sealed_by_sender",
        "signature",
    }
    assert all(32 <= byte < 127 or byte == 10 for byte in ada.out)
    assert ada.run("list", "--json", "--folder", "trash", given=PASSWORD) == 0


def test_sign_in_and_out(ada: Shell) -> None:
    assert ada.run("logout") == 0
    assert not ada.state.exists()
    assert ada.run("list", given=PASSWORD) == 4
    assert ada.run("login", ADA, given="wrong password") == 1
    assert ada.err == "sealpost: Address and password do not match.\n"
    assert ada.run("login", ADA, given=PASSWORD) == 0
    assert ada.state.stat().st_mode & 0o777 == 0o600
    assert ada.run("list", given=PASSWORD) == 0


def test_the_state_file_holds_nothing_of_the_key(ada: Shell) -> None:
    assert set(json.loads(ada.state.read_text())) == {"url", "address", "token"}


def test_a_session_that_has_ended_asks_for_no_password(ada: Shell) -> None:
    ada.site.sessions.clear()
    assert ada.run("list") == 4
    assert ada.err == "sealpost: there is no valid session; sign in first\n"


def test_the_token_goes_to_no_other_site(ada: Shell) -> None:
    count = len(ada.site.requests)
    assert ada.run("list", given=PASSWORD, url="https://elsewhere.test") == 4
    assert len(ada.site.requests) == count


def test_recovery(shell: Shell) -> None:
    assert shell.run("signup", ADA, "--recovery", given=PASSWORD) == 0
    code = shell.out.decode().strip()
    assert shell.run("recover", ADA, given=f"{code}\na new password\n") == 0
    assert shell.run("login", ADA, given=PASSWORD) == 1
    assert shell.run("login", ADA, given="a new password") == 0
    assert shell.run("recover", ADA, given="nonsense\na new password\n") == 1


def test_export_key_is_armoured(ada: Shell) -> None:
    assert ada.run("export-key", given=PASSWORD) == 0
    assert ada.out.startswith(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    assert ada.out.endswith(b"-----END PGP PRIVATE KEY BLOCK-----\n")
    assert "without protection" in ada.err


def test_public_inboxes(shell: Shell) -> None:
    address = "any@public.sealpost.test"
    mail_id = shell.site.post_public(address, MAIL, ENVELOPE)
    assert shell.run("public", address) == 0
    assert b"Hello\\u202e" in shell.out
    assert shell.err == NOTICE + "\n"
    assert shell.run("public", address, "--json") == 0
    assert json.loads(shell.out)[0]["envelope"] == ENVELOPE
    assert shell.run("public", address, "--read", mail_id, "--raw") == 0
    assert shell.out == MAIL
    assert shell.run("public", address, "--read", mail_id) == 0
    assert b"\\x1b]0;owned" in shell.out
    assert shell.run("public", "any@private.test") == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [(problem(503, "unavailable"), 3), (problem(429, "rate"), 3), (problem(403, "denied", "No\x1b[2J"), 1)],
)
def test_exit_codes_of_answers(ada: Shell, answer: httpx.Response, code: int) -> None:
    ada.site.instead["GET /v1/session"] = answer
    assert ada.run("list", given=PASSWORD) == code
    assert len(ada.err.splitlines()) == 1
    assert "\x1b" not in ada.err


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["read"], ["delete"], ["list", "--limit", "0"], ["list", "--limit", "many"], ["public"]],
)
def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.run(*arguments)
    assert caught.value.code == 2


def test_no_password_is_wrong_usage(ada: Shell) -> None:
    assert ada.run("list", given="") == 2
    assert ada.run("login", ADA, given="\n") == 2
    assert ada.run("public", "a@b", url="nonsense") == 2


def test_help_tells_exit_codes(shell: Shell) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.run("--help")
    assert caught.value.code == 0


def test_a_dead_site_is_temporary(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "libs.client", "--url", "http://127.0.0.1:9", "public", "a@b.test"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "sealpost: http://127.0.0.1:9 does not answer\n"


def test_on_a_terminal_the_password_is_asked_for_without_echo(tmp_path: Path) -> None:
    main_end, terminal_end = pty.openpty()
    command = [sys.executable, "-m", "libs.client", "--url", "http://127.0.0.1:9", "--state", str(tmp_path / "s")]
    process = subprocess.Popen(
        [*command, "signup", ADA], stdin=terminal_end, stdout=terminal_end, stderr=terminal_end, start_new_session=True,
        preexec_fn=lambda: _control(terminal_end),
    )  # fmt: skip
    os.close(terminal_end)
    shown = b""
    for prompt in (b"Password: ", b"Again: "):
        while prompt not in shown:
            shown += os.read(main_end, 1000)
        os.write(main_end, PASSWORD.encode() + b"\n")
    # To the end, for the progress may fill the terminal's buffer; the end of a terminal is an error on Linux.
    with contextlib.suppress(OSError):
        while more := os.read(main_end, 10_000):
            shown += more
    assert process.wait(60) == 3
    os.close(main_end)
    assert PASSWORD.encode() not in shown
    assert b"does not answer" in shown


def _control(descriptor: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


BOB = "bob@sealpost.test"


@pytest.fixture
def two(ada: Shell) -> Shell:
    """Ada, signed in, and Bob beside her."""
    own = ada.state.read_bytes()
    assert ada.run("signup", BOB, given=PASSWORD + "\n") == 0
    ada.state.rename(ada.state.with_name("bob.json"))
    ada.state.touch(mode=0o600)
    ada.state.write_bytes(own)
    return ada


def test_a_mail_is_sent_listed_and_read(two: Shell, tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("at noon")
    sending = ["send", "--to", BOB, "--subject", "Plan", "--attach", str(tmp_path / "plan.txt")]
    assert two.run(*sending, given=PASSWORD + "\nHello Bob\nsee below\n") == 0
    assert two.err == f"{BOB}: sealed\n"
    assert two.out.decode().strip().endswith("@sealpost.test>")
    two.state = two.state.with_name("bob.json")
    assert two.run("list", given=PASSWORD) == 0
    row = two.out.decode().splitlines()[1].split()
    assert row[-3:] == [ADA, "signed", "Plan"]
    assert two.run("read", row[0], given=PASSWORD) == 0
    assert two.err == f"signature verified: written by {ADA}\n"
    assert two.out.decode().endswith("Hello Bob\nsee below\n\n[attached: plan.txt, text/plain]\n")
    assert two.run("list", "--json", given=PASSWORD) == 0
    (mail,) = json.loads(two.out)
    assert (mail["signature"], mail["sealed_by_sender"]) == ("verified", True)


def test_what_is_not_verified_is_said_loudly(two: Shell) -> None:
    mail_id = two.site.deliver(ADA, MAIL, ENVELOPE)
    two.site.mails[ADA][0]["scheme"] = "openpgp-sender"
    assert two.run("list", given=PASSWORD) == 0
    assert "NOT VERIFIED" in two.out.decode()
    assert two.run("read", mail_id, "--raw", given=PASSWORD) == 0
    assert (two.err[:12], two.out) == ("NOT VERIFIED", MAIL)


def test_a_mail_encrypted_elsewhere_is_shown_as_it_is_inside(two: Shell) -> None:
    key = pysequoia.Tsk.generate("<ann@example.org>")
    own = pysequoia.Cert.from_bytes(base64.b64decode(two.site.accounts[ADA]["certificate"]))
    inner = b"Subject: Within\r\n\r\nfrom afar \x1b[31m\r\n"
    message = bytes(pysequoia.encrypt(inner, recipients=[own], signer=key.signer())).replace(b"\n", b"\r\n")
    mail = (
        b"From: ann@example.org\r\nSubject: ...\r\nContent-Type: multipart/encrypted; boundary=e\r\n\r\n--e\r\n"
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--e\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n" + message + b"\r\n--e--\r\n"
    )
    mail_id = two.site.deliver(ADA, mail, ENVELOPE)
    assert two.run("read", mail_id, given=PASSWORD) == 0
    assert two.err.startswith("NOT VERIFIED: signed, perhaps by ann@example.org; read --check asks")
    assert two.out == b"From (not encrypted): ann@example.org\nSubject: Within\n\nfrom afar \\x1b[31m\n"
    assert two.run("read", mail_id, "--raw", given=PASSWORD) == 0
    assert two.out == mail
    two.site.directory["ann@example.org"] = bytes(key.extract_certificate())
    assert two.run("read", mail_id, "--check", given=PASSWORD) == 0
    assert two.err.startswith("signature verified: written by ann@example.org, with the key")
    closed = two.site.deliver(ADA, mail.replace(message, message[:-100]), ENVELOPE)
    assert two.run("read", closed, given=PASSWORD) == 0
    assert two.err.startswith("encrypted once more") and b"Subject: ...\n" in two.out


def test_nothing_goes_in_the_clear_by_itself(two: Shell) -> None:
    sending = ["send", "--to", "otto@example.net", "--cc", BOB, "--bcc", "x@public.sealpost.test"]
    assert two.run(*sending, given=PASSWORD + "\nhello\n") == 1
    assert "otto@example.net: in the clear: no key was found\n" in two.err
    assert "x@public.sealpost.test: in the clear: a public inbox, which anybody can read\n" in two.err
    assert two.site.submitted == {} and two.site.mails.get(BOB, []) == []
    assert two.run(*sending, "--allow-open", given=PASSWORD + "\nhello\n") == 0
    ((sender, recipients, content),) = two.site.submitted.values()
    assert (sender, recipients) == (ADA, ["otto@example.net", "x@public.sealpost.test"])
    assert b"hello" in content and b"public" not in content


def test_an_unknown_recipient_stops_everything(two: Shell) -> None:
    assert two.run("send", "--to", "nobody@sealpost.test", "--to", BOB, "--allow-open", given=PASSWORD + "\nx\n") == 1
    assert "nobody has this address" in two.err
    assert two.site.mails.get(BOB, []) == []


def test_what_failed_is_told_and_fails_the_command(two: Shell) -> None:
    two.site.instead["POST /v1/send"] = problem(403, "sending_paused", "Sending is paused.")
    assert two.run("send", "--to", BOB, "--to", "o@example.net", "--allow-open", given=PASSWORD + "\nx\n") == 1
    assert "not sent to o@example.net: Sending is paused." in two.err
    assert len(two.site.mails[BOB]) == 1


@pytest.mark.parametrize(
    ("arguments", "given", "text"),
    [
        (["--subject", "x"], "\nx\n", "name somebody"),
        (["--to", "bob"], "\nx\n", ""),
        (["--to", BOB, "--attach", "/nonexistent"], "\nx\n", "cannot be read"),
        (["--to", BOB, "--text", "/nonexistent"], "\n", "cannot be read"),
        (["--to", BOB, "--subject", "a\nb"], "\nx\n", "one line"),
    ],
)
def test_bad_commands_send_nothing(two: Shell, arguments: list[str], given: str, text: str) -> None:
    assert two.run("send", *arguments, given=PASSWORD + given) in (1, 2)
    assert text in two.err
    assert two.site.mails.get(BOB, []) == [] and two.site.submitted == {}
