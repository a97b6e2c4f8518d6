"""The local platform: `python -m services`, as `make run` starts it.

NATS and one process for each service on loopback, with embedded SQLite, a development CA and secrets of its own, all
under one folder. Ctrl-C drains and stops everything.
"""

from __future__ import annotations

import asyncio
import os
import sys

from rich.console import Console
from rich.table import Table

from libs.local import settings as local
from libs.local.plan import ROOT
from libs.local.platform import Platform, run

console = Console(highlight=False)
if not console.is_terminal:
    # A file or a pipe has no width: nothing is folded there.
    console = Console(highlight=False, width=200)


def _show(platform: Platform, settings: local.LocalSettings) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ignore")
    web = settings.url
    smtp = f"{settings.host}:{settings.smtp_port}"
    table.add_row("web", web)
    table.add_row("API", f"{web}/openapi.json")
    table.add_row("SMTP", smtp)
    table.add_row(
        "submission",
        f"{settings.host}:{settings.submission_port} (STARTTLS), {settings.host}:{settings.submissions_port} (TLS)",
    )
    table.add_row("members", f"anybody@{settings.member_domain}, after signing up")
    table.add_row("relay", f"anybody@{settings.relay_domain}, after signing up")
    table.add_row("public", f"anything@{settings.public_domain}, read by everybody")
    table.add_row("operators", f"{settings.url}/operator, with the role: see README.md")
    for name, address in platform.addresses.metrics.items():
        table.add_row(f"{name} metrics", f"http://{address}/metrics")
    table.add_row("data and logs", str(settings.home))
    console.print()
    console.print(table)
    # On lines of their own, so that they can be copied whole.
    console.print(f"\nA first mail:  swaks --server {smtp} --to hello@{settings.public_domain}", soft_wrap=True)
    console.print(f"Read it:       {web}/public/hello@{settings.public_domain}", soft_wrap=True)
    console.print("Ctrl-C stops.")
    console.print("\nsealpost is ready")


def main() -> int:
    """Run the platform until it is told to stop; return the exit code."""
    try:
        settings = local.load(os.environ, ROOT)
        asyncio.run(run(settings, lambda platform: _show(platform, settings), lambda text: console.print(text)))
    except local.LocalError as failure:
        console.print(f"sealpost cannot start: {failure}", style="red")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
