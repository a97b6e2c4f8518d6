"""An account that relays, in a browser of its own, for the tests of its pages."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Watch
from tests.support.ledger_procs import wait_for
from tests.support.outside import Outside
from tests.support.platform import RunningPlatform
from tests.support.remote_steps import Received

DOMAIN = "customer.test"


@dataclasses.dataclass
class Business:
    """An account that relays, in a browser of its own, and the world that it sends to."""

    page: Page
    watch: Watch
    platform: RunningPlatform
    world: Outside
    address: str
    key: str = ""

    def section(self, name: str) -> None:
        """Go to a section of sending."""
        self.page.get_by_role("navigation", name="Sending").get_by_role("link", name=name).click()
        expect(self.page.get_by_role("heading", name=name, level=1)).to_be_visible()

    def records(self) -> list[tuple[str, str, str]]:
        """Return the records that the page tells to publish: type, name and value."""
        rows = self.page.get_by_role("table", name=f"DNS records of {DOMAIN}").get_by_role("row").all()[1:]
        found = []
        for row in rows:
            name, value = row.locator(".record-part code").all_inner_texts()
            found.append((row.locator(".badge.plain").inner_text(), name, value))
        return found

    def send(self, **mail: Any) -> str:
        """Send over HTTP with the key; return the id."""
        answer = httpx.post(
            f"{self.platform.url}/v1/send", json=mail, headers={"Authorization": f"Bearer {self.key}"}, timeout=30
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def link_to(self, address: str) -> str:
        """Return the link in the mail that asks an address whether copies may come."""

        def asked() -> list[Received]:
            found = self.world.mails(address.partition("@")[2])
            return [mail for mail in found if address in mail.recipients]

        wait_for("the question", lambda: bool(asked()), 30.0)
        link = re.search(rb"https?://\S+/f/\S+", asked()[0].content)
        assert link is not None
        return link[0].decode()

    def dialog(self, name: str) -> Locator:
        """Return the open dialog."""
        return self.page.get_by_role("dialog", name=name)
