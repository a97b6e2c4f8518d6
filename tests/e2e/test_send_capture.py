"""Two members write to each other in two Chromium windows, and no word of it is in anything the platform handles.

Every process writes down the bytes of each RPC it serves and each NATS message it publishes. Afterwards those, and
every file of the platform, are searched for the words of the mail (subject, text, name and content of an attachment) in
every encoding that tests.support.ledger_scan knows; files and NATS messages also for the addresses. That the search
would find them is shown beside: a mail to a public inbox travels in the clear from ingest to crypto, and is found
there; the opaque ids of the sealed mails are found where they belong.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from tests.e2e.site import Site
from tests.e2e.test_send import Window
from tests.support.capture import Capture, captured_platform, metrics_urls
from tests.support.ledger_mail import Run
from tests.support.ledger_procs import wait_for
from tests.support.ledger_scan import Leak, Scanner
from tests.support.platform import RunningPlatform

# What two members that write to each other cannot do without; each must have been written down in both directions.
_NEEDED = {
    "sealpost.accounts.v1.Accounts/Resolve",
    "sealpost.crypto.v1.Crypto/PutCertificate",
    "sealpost.crypto.v1.Crypto/Seal",
    "sealpost.delivery.v1.Delivery/Reserve",
    "sealpost.storage.v1.Storage/Append",
    "sealpost.storage.v1.Storage/GetBody",
    "sealpost.storage.v1.Storage/List",
    "sealpost.storage.v1.Storage/Stage",
}
_MADE = re.compile(r'^sealpost_rpc_made_total\{(?=[^}]*outcome="ok")[^}]*method="([^"]+)"[^}]*\} ([0-9.e+]+)', re.M)
_MESSAGE_ID = re.compile(r"/([0-9a-f]{32})$")
# More than storage takes in one message, so that it travels as a stream of blocks.
_ATTACHED_BYTES = 1_100_000


class Words:
    """What is written, and searched for afterwards; all of a kind begins with one random token."""

    def __init__(self) -> None:
        """Make the words of this run."""
        self.sealed, self.address, self.open = (Run.fresh().token for _ in range(3))
        self.subject = f"{self.sealed} subject"
        self.text = f"Dear Bob,\n\nthe mill {self.sealed} wörks.\n"
        self.file_name = f"Pläne-{self.sealed}.txt"
        # Small groups of it lie at every alignment of base64, and on both sides of every block.
        self.content = (f"{self.sealed}\n" * (_ATTACHED_BYTES // (len(self.sealed) + 1))).encode()
        self.answer = f"So it does, {self.sealed} answers."

    def public_mail(self, to: str) -> bytes:
        """Return a mail with the open token as it is and in base64 at each alignment."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "carol@example.org", to, "For everybody"
        mail.set_content(f"read by everybody: {self.open}\n")
        for offset in range(3):
            content = b"." * offset + self.open.encode() + b".."
            mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=f"{offset}.bin")
        return mail.as_bytes(policy=SMTP)


@pytest.fixture
def captured(built_page: Path, tmp_path: Path) -> Iterator[tuple[RunningPlatform, Capture]]:
    """Start a platform whose processes write down what they tell each other."""
    with captured_platform(tmp_path / "home", tmp_path / "capture") as running:
        yield running


def test_no_word_of_a_mail_between_members_is_anywhere_on_the_server(
    browser: Browser, captured: tuple[RunningPlatform, Capture]
) -> None:
    platform, capture = captured
    words = Words()
    _send_openly(platform, capture, words)
    ids = _exchange(browser, platform, words)

    wait_for("every stored mail announced", lambda: all(one.encode() in capture.nats() for one in ids))
    _assert_all_written_down(platform, capture, ids)
    _assert_search_bites(platform, capture, words, ids)
    _assert_nothing_found(platform, capture, words)
    assert platform.stop() == 0
    # What a service says or writes last is searched as well.
    _assert_nothing_found(platform, capture, words)


def _send_openly(platform: RunningPlatform, capture: Capture, words: Words) -> None:
    inbox = f"everybody@{platform.public_domain}"
    site = _site(platform)
    site.deliver(words.public_mail(inbox), inbox)
    wait_for("a public mail stored", lambda: capture.rpc("sealpost.storage.v1.Storage/Append", "response"))


def _exchange(browser: Browser, platform: RunningPlatform, words: Words) -> list[str]:
    """Have two members write to each other, and a third read a blind copy; return the ids of what they read."""
    site = _site(platform)
    with closing(_Windows(browser, site, words)) as windows:
        ada, bob, eve = windows.open("ada", "bob", "eve")
        ada.write(bob.address, words.subject, words.text)
        ada.page.get_by_role("button", name="Cc, Bcc").click()
        ada.page.get_by_label("Bcc", exact=True).fill(eve.address + ",")
        ada.page.keyboard.press("Enter")
        attached: FilePayload = {"name": words.file_name, "mimeType": "text/plain", "buffer": words.content}
        ada.page.get_by_label("Files to attach").set_input_files([attached])
        expect(ada.page.get_by_text("Sealed for all 2: only they and you can read it.")).to_be_visible()
        expect(ada.page.get_by_text("Draft kept")).to_be_visible()
        ada.send()

        ids = [_read(bob, words.subject, words.text.split("\n")[2])]
        expect(bob.page.get_by_title(f"Save {words.file_name}")).to_be_visible()
        bob.page.keyboard.press("a")
        expect(bob.page.get_by_label("Text")).to_be_focused()
        bob.page.keyboard.type(words.answer)
        bob.send()
        ids.append(_read(eve, words.subject, words.text.split("\n")[2]))
        ids.append(_read(ada, f"Re: {words.subject}", words.answer))
        return ids


class _Windows:
    """The windows of one exchange."""

    def __init__(self, browser: Browser, site: Site, words: Words) -> None:
        self._browser, self._site, self._words = browser, site, words
        self._opened: list[Window] = []

    def open(self, *names: str) -> list[Window]:
        """Make a member for each name, in a browser of his own."""
        for name in names:
            self._opened.append(Window(self._browser, self._site, f"{name}-{self._words.address}"))
        return self._opened

    def close(self) -> None:
        """Close them."""
        for window in self._opened:
            window.context.close()


def _read(window: Window, subject: str, line: str) -> str:
    """Open a mail, see that it is what was written, and return its id."""
    window.read(subject)
    expect(window.page.get_by_test_id("sender-check")).to_have_text("Sender verified", use_inner_text=True)
    expect(window.page.locator(".mail-text")).to_contain_text(line)
    found = _MESSAGE_ID.search(window.page.url)
    assert found is not None
    return found[1]


def _site(platform: RunningPlatform) -> Site:
    return Site(platform.url, platform.smtp_host, platform.smtp_port, platform.member_domain, platform.public_domain)


def _assert_all_written_down(platform: RunningPlatform, capture: Capture, ids: list[str]) -> None:
    """Assert that whatever a service has called is in the capture, by the count that callers keep."""
    made = set(_NEEDED)
    for url in metrics_urls(platform).values():
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own loopback address
            made |= {method for method, count in _MADE.findall(answer.read().decode()) if float(count) > 0}
    assert made > _NEEDED
    missing = {
        (method, direction)
        for method in made
        for direction in ("request", "response")
        if not capture.rpc(method, direction)
    }
    assert missing == set()
    assert b"mail.stored.v1" in capture.nats()
    stored = capture.rpc("sealpost.storage.v1.Storage/Append", "request")
    assert all(one.encode() in stored for one in ids)
    assert len(capture.rpc("sealpost.storage.v1.Storage/Stage", "request")) > 3 * _ATTACHED_BYTES
    assert len(capture.rpc("sealpost.storage.v1.Storage/GetBody", "response")) > 2 * _ATTACHED_BYTES


def _assert_search_bites(platform: RunningPlatform, capture: Capture, words: Words, ids: list[str]) -> None:
    """Assert that words which do travel in the clear are found, and that the files searched are those in use."""
    sealing = [path for path in capture.files("rpc") if "Crypto.Seal~request" in path.name]
    found = {leak.encoding for leak in Scanner(words.open).scan(*sealing)}
    assert found >= {"raw", "base64 at 0", "base64 at 1", "base64 at 2"}
    asked = Scanner(words.address).scan(*capture.files("rpc"))
    assert any("Accounts.Resolve~request" in leak.place for leak in asked)
    places = {Path(leak.place).relative_to(platform.home).parts[:2] for leak in Scanner(ids[0]).scan(platform.home)}
    assert ("data", "storage") in places
    assert ("data", "nats") in places


def _assert_nothing_found(platform: RunningPlatform, capture: Capture, words: Words) -> None:
    sealed, address = Scanner(words.sealed), Scanner(words.address)
    printed = "\n".join(platform.output).encode()
    leaks: list[Leak] = sealed.scan(capture.folder, platform.home) + sealed.scan_bytes("output", printed)
    leaks += address.scan(platform.home, *capture.files("nats")) + address.scan_bytes("output", printed)
    assert [str(leak) for leak in leaks] == []
    assert sealed.files > len(capture.files("rpc"))
    assert sealed.bytes > 3 * _ATTACHED_BYTES
