"""What somebody does in the page to have copies of mail forwarded, and whoever is asked on the page behind the link."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser import PASSWORD
from tests.e2e.relaying import Business

TARGET = "copies@remote.test"


def open_section(page: Page) -> None:
    """Go from sending to the section, which says what forwarding means."""
    page.get_by_role("navigation", name="Sending").get_by_role("link", name="Settings").click()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Forwarding").click()
    expect(page.get_by_text("Copies leave sealed storage open.")).to_be_visible()


def look_again(page: Page, words: str) -> None:
    """Wait for what the list says when it is loaded anew."""
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="Forwarding").click()
    expect(page.get_by_role("list", name="Addresses that get copies")).to_contain_text(words)


def ask(business: Business) -> None:
    """Add the target, at the third attempt."""
    page = business.page
    address, password = page.get_by_label("Address", exact=True), page.get_by_label("Your password", exact=True)
    button = page.get_by_role("button", name="Ask this address")
    address.fill(business.address)
    password.fill("not the password")
    button.click()
    expect(page.get_by_text("This is your own address here.")).to_be_visible()
    address.fill(TARGET)
    button.click()
    expect(page.get_by_text("That is not your password.")).to_be_visible()
    password.fill(PASSWORD)
    button.click()
    expect(page.get_by_role("list", name="Addresses that get copies")).to_contain_text("nothing goes there yet")
    page.get_by_role("button", name="Dismiss").click()


def agree(business: Business, artifacts: Path) -> Page:
    """Follow the link in the mail and say yes; return the page of whoever did."""
    reader = business.page.context.new_page()
    reader.goto(business.link_to(TARGET))
    reader.screenshot(path=artifacts / "forwarding-question.png")
    reader.get_by_role("button", name="Yes, forward to me").click()
    expect(reader.get_by_role("heading", name="Copies will come")).to_be_visible()
    return reader


def stop(reader: Page) -> None:
    """Stop it there."""
    reader.get_by_role("button", name="Stop forwarding").click()
    expect(reader.get_by_role("heading", name="Stopped")).to_be_visible()
    reader.close()


def take_out(page: Page) -> None:
    """Empty the list, and go back to sending."""
    page.get_by_role("button", name=f"Take out {TARGET}").click()
    expect(page.get_by_text("Nothing is forwarded.")).to_be_visible()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Sending").click()
