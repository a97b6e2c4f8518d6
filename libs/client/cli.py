"""The program: one function per command. Data goes to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import io
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from libs.client import arguments, layers, reading, signatures, state, terminal
from libs.client.api import Client
from libs.client.compose import Attachment, Letter
from libs.client.errors import ClientError, RefusedError, SignInNeededError, UsageError
from libs.client.model import Mail
from libs.client.sending import Recipient

_DEFAULT_URL = "http://127.0.0.1:8080"
_INTERRUPTED = 130
_MAX_LINE = 4096
_MAX_TEXT = 10 * 1024 * 1024
_WAYS = {
    "member": "sealed",
    "wkd": "sealed (PGP/MIME, with the key that the domain publishes)",
    "public": "in the clear: a public inbox, which anybody can read",
    "open": "in the clear: no key was found",
    "unknown": "nobody has this address",
}
_MARKS = {"": "", signatures.VERIFIED: "signed"}


def main(given: list[str] | None = None, transport: httpx.BaseTransport | None = None) -> int:
    """Run one command and return its exit code. `transport` is for tests."""
    options = arguments.parse(given)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no UTF-8 shows escapes instead of nothing.
            stream.reconfigure(errors="backslashreplace")
    progress = terminal.ProgressBar()
    try:
        _Command(options, transport, progress).run()
        sys.stdout.flush()
        return 0
    except ClientError as error:
        progress.stop()
        print(f"sealpost: {terminal.one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        progress.stop()


class _Command:
    def __init__(
        self,
        options: argparse.Namespace,
        transport: httpx.BaseTransport | None,
        progress: terminal.ProgressBar,
    ) -> None:
        self._options = options
        self._path: Path = options.state or state.default_path(os.environ)
        self._transport = transport
        self._progress = progress

    def run(self) -> None:
        """Do what the options say."""
        commands = {
            "signup": self._signup,
            "login": self._login,
            "recover": self._recover,
            "logout": self._logout,
            "list": self._list,
            "read": self._read,
            "send": self._send,
            "delete": self._delete,
            "export-key": self._export_key,
            "public": self._public,
        }
        commands[self._options.command]()

    def _signup(self) -> None:
        options = self._options
        password = _ask("Password: ", again=True)
        with self._anew() as client:
            made = client.signup(options.address, password, recovery=options.recovery)
            self._keep(client, made.account.address)
        self._progress.stop()
        _say(f"signed up and signed in as {made.account.address}")
        if made.recovery_code is not None:
            _say("recovery code, shown this once - write it down:")
            print(made.recovery_code.reveal())

    def _login(self) -> None:
        password = _ask("Password: ")
        with self._anew() as client:
            account = client.login(self._options.address, password)
            self._keep(client, account.address)
        self._progress.stop()
        _say(f"signed in as {account.address}")

    def _recover(self) -> None:
        code = _ask("Recovery code: ")
        password = _ask("New password: ", again=True)
        with self._anew() as client:
            account = client.recover(self._options.address, code, password)
            self._keep(client, account.address)
        self._progress.stop()
        _say(f"new password set, signed in as {account.address}")

    def _logout(self) -> None:
        with self._resumed() as client:
            client.logout()
        state.forget(self._path)
        _say("signed out")

    def _list(self) -> None:
        with self._unlocked() as client:
            mails = client.list(self._options.folder, self._options.limit)
        self._progress.stop()
        _show(mails, self._options.json)

    def _read(self) -> None:
        with self._unlocked() as client:
            mail = client.open(self._options.id, ask=self._options.check)
        self._progress.stop()
        if mail.sealed_by_sender:
            _say(signatures.SENTENCES[mail.signature].format(sender=mail.sender or "whoever it says"))
        elif mail.inner is not None:
            _say(layers.sentence(mail.signature, mail.sender, askable=mail.askable))
        elif mail.how:
            _say(layers.CLOSED if mail.how == layers.ENCRYPTED else layers.UNREADABLE)
        _show_mail(mail.content, self._options.raw, mail.inner, mail.how)

    def _send(self) -> None:
        options = self._options
        if not (options.to or options.cc or options.bcc):
            raise UsageError("no_recipients", "name somebody with --to, --cc or --bcc")
        attachments = [Attachment.of_file(path) for path in options.attach]
        with self._unlocked() as client:
            letter = Letter(options.to, options.subject, _text(options.text), options.cc, options.bcc, attachments)
            found = client.recipients(*letter.recipients)
            self._progress.stop()
            for one in found:
                _say(f"{one.address}: {_WAYS[one.kind]}")
            allowed = options.allow_open or _agreed([one for one in found if not one.sealed])
            sent = client.send_to(letter, found, allow_open=allowed)
        self._progress.stop()
        for address, error in sent.failed.items():
            _say(f"not sent to {address}: {error}")
        print(sent.message_id)
        if sent.failed:
            raise RefusedError("partly", "the mail was not sent to everybody; a copy is in sent")

    def _delete(self) -> None:
        with self._resumed() as client:
            missing = client.delete(*self._options.ids)
        if missing:
            raise RefusedError("not_found", f"no such mail: {', '.join(missing)}")

    def _export_key(self) -> None:
        with self._unlocked() as client:
            text = client.export_key()
        self._progress.stop()
        print(text, end="" if text.endswith("\n") else "\n")
        _say("this is the private key without protection: whoever has it reads the mail")

    def _public(self) -> None:
        options = self._options
        with self._anew() as client:
            if options.read:
                mail = client.read_public(options.address, options.read)
                self._progress.stop()
                _show_mail(mail, options.raw)
                return
            inbox = client.public(options.address, options.limit)
        self._progress.stop()
        _say(inbox.notice)
        _show(inbox.mails, options.json)

    def _anew(self) -> Client:
        url = self._options.url
        if url is None:
            kept = state.load(self._path)
            url = kept.url if kept else _DEFAULT_URL
        return Client(url, transport=self._transport, progress=self._progress)

    def _resumed(self) -> Client:
        kept = state.load(self._path)
        if kept is None:
            raise SignInNeededError("session_missing", "there is no session; sign in first")
        client = Client(
            self._options.url or kept.url, token=kept.token, transport=self._transport, progress=self._progress
        )
        # The token is for the site that gave it, and for no other.
        if client.url != kept.url:
            client.close()
            raise SignInNeededError("session_elsewhere", f"the session is at {kept.url}; sign in at {client.url} first")
        return client

    def _unlocked(self) -> Client:
        client = self._resumed()
        try:
            # Before the password is asked for: it is not needed where the session has ended.
            client.account()
            client.unlock(_ask("Password: "))
        except BaseException:
            client.close()
            raise
        return client

    def _keep(self, client: Client, address: str) -> None:
        state.save(self._path, state.Session(client.url, address, client.token))


def _text(name: str) -> str:
    """Return the text in a file, or what is left of standard input."""
    try:
        text = sys.stdin.read(_MAX_TEXT + 1) if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("text", "the text cannot be read, or is not UTF-8") from error
    if len(text) > _MAX_TEXT:
        raise UsageError("text", "the text is too long; attach it")
    return text


def _agreed(unsealed: Sequence[Recipient]) -> bool:
    """Ask on a terminal whether these may have the mail in the clear; where there is none, nobody has agreed."""
    known = [one for one in unsealed if one.kind != "unknown"]
    if not known or len(known) < len(unsealed) or not sys.stdin.isatty():
        return False
    return input("Send it in the clear to those without a key? [y/N] ").strip().lower() in ("y", "yes")


def _ask(prompt: str, again: bool = False) -> str:
    """Return what is typed without echo, or the next line of a standard input that is no terminal."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline(_MAX_LINE)
        if not line.rstrip("\r\n"):
            raise UsageError("no_password", "standard input ends where the password is expected")
        return line.rstrip("\r\n")
    try:
        text = getpass.getpass(prompt)
        if again and getpass.getpass("Again: ") != text:
            raise UsageError("password_differs", "the two do not match")
    except EOFError as error:
        raise UsageError("no_password", "no password was given") from error
    return text


def _say(text: str) -> None:
    print(terminal.one_line(text), file=sys.stderr)


def _show(mails: Sequence[Mail], as_json: bool) -> None:
    if as_json:
        # ASCII, so that nothing in it can steer a terminal; DEL is the one control character that JSON lets through.
        print(json.dumps([dataclasses.asdict(mail) for mail in mails], indent=2).replace("\x7f", "\\u007f"))
        return
    rows = []
    for mail in mails:
        sender, subject = terminal.envelope_row(mail.envelope)
        mark = " " if "seen" in mail.flags else "*"
        proof = _MARKS.get(mail.signature, "NOT VERIFIED")
        rows.append((mail.id, mark, mail.received[:16].replace("T", " "), sender, proof, subject))
    if not rows:
        _say("no mail")
        return
    columns = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 200
    for line in terminal.table(("id", "", "received", "from", "", "subject"), rows, columns):
        print(line)


def _show_mail(mail: bytes, raw: bool, inner: bytes | None = None, how: str = "") -> None:
    if raw:
        sys.stdout.buffer.write(mail)
        return
    text = terminal.lines(reading.as_text(mail, inner, f" (not {how})"))
    print(text, end="" if text.endswith("\n") else "\n")
