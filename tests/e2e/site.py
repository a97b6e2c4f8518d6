"""The real platform as the flow tests see it: an address for the browser and a way to send mail to it."""

from __future__ import annotations

import dataclasses
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.platform import running_platform


@dataclasses.dataclass(frozen=True)
class Site:
    """Where the page is, which domains it serves, and where its MX listens."""

    url: str
    smtp_host: str
    smtp_port: int
    member_domain: str
    public_domain: str

    def deliver(self, raw: bytes, recipient: str, sender: str = "bob@example.org") -> None:
        """Send `raw` by SMTP, as a stranger's server does; raises smtplib.SMTPException unless it was accepted."""
        with smtplib.SMTP(self.smtp_host, self.smtp_port, timeout=20) as client:
            client.sendmail(sender, [recipient], raw)


@contextmanager
def running_site(home: Path) -> Iterator[Site]:
    """Start the platform in `home`."""
    with running_platform(home) as platform:
        yield Site(platform.url, platform.smtp_host, platform.smtp_port, platform.member_domain, platform.public_domain)
