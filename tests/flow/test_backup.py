"""An erased user stays erased when an older backup is brought back: on the whole platform, with what users use."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from libs.client.api import Client
from libs.client.errors import ClientError
from libs.local.backup import MARKER, is_running, restore, save
from libs.runtime.clock import SystemClock
from tests.support.operators import close_account
from tests.support.platform import RunningPlatform, running_platform

PASSWORD = "correct horse battery"


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)


def member(platform: RunningPlatform, name: str) -> tuple[str, dict[str, str]]:
    """Sign somebody up who has a mail; return his address, and what would betray him in a file."""
    address = f"{name}@{platform.member_domain}"
    with Client(platform.url) as client:
        client.signup(address, PASSWORD)
        with smtplib.SMTP(platform.smtp_host, platform.smtp_port, timeout=30) as smtp:
            smtp.sendmail("bob@elsewhere.example", [address], f"Subject: for {name}\r\n\r\nhello {name}\r\n".encode())
        wait_for("the mail", lambda: len(client.list()) == 1)
        mail = client.list()[0]
        account = client.account()
        return address, {"account": account.id, "message": mail.id}


def receipt(platform: RunningPlatform, token: str) -> str:
    """Return the state of an erasure."""
    answer = httpx.get(f"{platform.url}/v1/erasures/{token}", timeout=10)
    return str(answer.json()["state"]) if answer.status_code == 200 else str(answer.status_code)


def found_in_files(home: Path, words: dict[str, str]) -> dict[str, list[str]]:
    """Return which words stand in which file below `home`.

    Left out are retention, which names who must stay erased, and the event store, where opaque ids age out by
    themselves and which no backup holds.
    """
    found: dict[str, list[str]] = {}
    for path in sorted((home / "data").rglob("*")):
        if path.is_file() and not {"retention", "nats"} & set(path.parts):
            content = path.read_bytes()
            for what, word in words.items():
                if word.encode() in content:
                    found.setdefault(what, []).append(path.name)
    return found


def refused_at_the_doors(platform: RunningPlatform, address: str) -> None:
    """See that nobody can sign in, and that mail is not taken."""
    with Client(platform.url) as client, pytest.raises(ClientError):
        client.login(address, PASSWORD)
    # The MX remembers for some seconds where mail goes.
    wait_for("mail to be refused", lambda: not taken(platform, address), 30)


def taken(platform: RunningPlatform, address: str) -> bool:
    """Tell whether mail for an address is taken."""
    with smtplib.SMTP(platform.smtp_host, platform.smtp_port, timeout=30) as smtp:
        smtp.helo("elsewhere.example")
        smtp.mail("bob@elsewhere.example")
        return smtp.rcpt(address)[0] < 400


def test_an_erased_user_stays_erased_when_an_older_backup_comes_back(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "backup"
    with running_platform(home) as platform:
        ada, betrays = member(platform, "ada")
        eve, _ = member(platform, "eve")
        assert {"accounts", "crypto", "storage", "delivery", "analytics", "billing", "retention"} <= set(
            save(home, kept, SystemClock())
        )
        assert found_in_files(home, betrays).keys() == betrays.keys(), "what is looked for is there to be found"
        token = close_account(platform, ada)
        wait_for("the erasure", lambda: receipt(platform, token) == "done")
        assert found_in_files(home, betrays) == {}
        refused_at_the_doors(platform, ada)
    assert not is_running(home)

    assert "storage" in restore(home, kept)
    assert found_in_files(home, betrays).keys() == betrays.keys(), "the backup is from before"
    with running_platform(home) as platform:
        assert not (home / MARKER).exists()
        assert found_in_files(home, betrays) == {}
        assert not taken(platform, ada)
        refused_at_the_doors(platform, ada)
        with Client(platform.url) as client:
            client.login(eve, PASSWORD)
            (mail,) = client.list()
            assert b"hello eve" in client.read(mail.id)
