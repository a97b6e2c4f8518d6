"""The command line: what can be said, and what --help says about it."""

from __future__ import annotations

import argparse
from pathlib import Path

_DESCRIPTION = "Mail on a sealpost, from the command line. All cryptography happens here; the password is sent nowhere."
_EPILOGUE = """\
the password is asked for, or read from the first line of standard input where that is no terminal:
  echo "$PASSWORD" | python -m libs.client --url https://mail.example.org login ada@example.org
  echo "$PASSWORD" | python -m libs.client list --json

The session is kept in a file that only you can read ($XDG_STATE_HOME/sealpost/session.json, or --state). It opens no
mail: nothing of the private key is kept, so list, read and export-key need the password each time.

exit codes: 0 done · 1 refused, or no such thing · 2 wrong usage · 3 no answer, try again later · 4 sign-in needed
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed arguments; exits with 2 (or 0 for --help) as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.client",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="the site; default: that of the kept session, else http://127.0.0.1:8080")
    parser.add_argument("--state", type=Path, metavar="FILE", help="where the session is kept")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    signup = commands.add_parser("signup", help="make an account and sign in")
    signup.add_argument("address", metavar="ADDRESS")
    signup.add_argument(
        "--recovery", action="store_true", help="also make a recovery code; it is shown once and kept nowhere"
    )
    commands.add_parser("login", help="sign in").add_argument("address", metavar="ADDRESS")
    recover = commands.add_parser("recover", help="set a new password with the recovery code (first line: the code)")
    recover.add_argument("address", metavar="ADDRESS")
    commands.add_parser("logout", help="end the session")

    listing = commands.add_parser("list", help="list mails, newest first")
    listing.add_argument("--json", action="store_true", help="one JSON array")
    listing.add_argument(
        "--folder", default="inbox", help='inbox, sent, drafts, archive, junk, trash, an id, or "" for all'
    )
    listing.add_argument("--limit", type=_positive, default=50, help="at most so many (50)")
    read = commands.add_parser("read", help="show a mail")
    read.add_argument("id", metavar="ID")
    read.add_argument("--raw", action="store_true", help="the mail as it was received, byte for byte")
    read.add_argument(
        "--check", action="store_true", help="ask the sender's domain for the key of a mail that was signed elsewhere"
    )
    _add_send(commands.add_parser("send", help="send a mail, sealed to everybody who has a key"))
    commands.add_parser("delete", help="delete mails for good").add_argument("ids", metavar="ID", nargs="+")
    commands.add_parser("export-key", help="print the private key, unprotected, for gpg --import")

    public = commands.add_parser("public", help="list a public inbox, or show a mail of it; no session needed")
    public.add_argument("address", metavar="ADDRESS")
    public.add_argument("--json", action="store_true", help="one JSON array")
    public.add_argument("--limit", type=_positive, default=50, help="at most so many (50)")
    public.add_argument("--read", metavar="ID", help="show this mail")
    public.add_argument("--raw", action="store_true", help="with --read: byte for byte")
    return parser.parse_args(arguments)


def _add_send(send: argparse.ArgumentParser) -> None:
    for name, text in (
        ("to", "to whom"),
        ("cc", "who gets a copy"),
        ("bcc", "who gets a copy that nobody else knows of"),
    ):
        send.add_argument(f"--{name}", metavar="ADDRESS", action="append", default=[], help=f"{text}; may be repeated")
    send.add_argument("--subject", default="")
    send.add_argument(
        "--text", metavar="FILE", default="-", help="the text, UTF-8; -: standard input, after the password"
    )
    send.add_argument("--attach", metavar="FILE", type=Path, action="append", default=[], help="may be repeated")
    send.add_argument(
        "--allow-open",
        action="store_true",
        help="send in the clear to whoever has no key (else: asked, or refused)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if not 0 < number <= 100_000:
        raise ValueError
    return number
