"""What an operator of a running platform can do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.support.platform import ROOT, RunningPlatform
from tests.support.sender import Sender


def make_operator(platform: RunningPlatform, address: str, role: str = "operator") -> None:
    """Give an account the role operator, or another, as its owner does on the machine."""
    _command(platform, address, "grant-role", role)


def close_account(platform: RunningPlatform, address: str) -> str:
    """Erase an account without grace; return the token of the receipt."""
    return _command(platform, address, "close-account").rsplit("Token of the receipt: ", 1)[1].strip()


def _command(platform: RunningPlatform, address: str, *words: str) -> str:
    secrets = platform.home / "secrets" / "accounts"
    settings = {
        "STORE": f"sqlite:{platform.home / 'data' / 'accounts'}",
        "KEK_FILE": str(secrets / "kek"),
        "LOOKUP_KEY_FILE": str(secrets / "lookup_key"),
        "TLS_DIR": str(platform.home / "tls" / "accounts"),
    }
    base = {name: text for name, text in os.environ.items() if not name.startswith("SEALPOST_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.accounts.cli", *words],
        cwd=ROOT,
        env=base | {"PYTHONPATH": str(ROOT)} | {f"SEALPOST_{name}": text for name, text in settings.items()},
        input=address + "\n",
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def dns_records(platform: RunningPlatform, account: Sender) -> list[dict[str, Any]]:
    """Return the DNS records of the installation's own domains, as an operator is told them."""
    make_operator(platform, account.address)
    with account.http() as http:
        answer = http.get("/v1/operator/dns").raise_for_status().json()
    return [record for domain in answer["domains"] for record in domain["records"]]
