"""URLs as strangers write them."""

from __future__ import annotations

import pytest

from libs.net.http import Target, read_url
from libs.runtime.errors import InvalidError


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.org", Target("example.org", 443, "/")),
        ("HTTPS://Example.ORG./hook?a=b#part", Target("example.org", 443, "/hook?a=b")),
        ("https://example.org:443/", Target("example.org", 443, "/")),
        ("https://example.org:8443/x", Target("example.org", 8443, "/x")),
        ("https://example.org?x", Target("example.org", 443, "/?x")),
        ("https://bücher.example/", Target("xn--bcher-kva.example", 443, "/")),
        ("https://BÜCHER.example/", Target("xn--bcher-kva.example", 443, "/")),
        ("https://xn--bcher-kva.example/", Target("xn--bcher-kva.example", 443, "/")),
        ("https://1.2.3.4/", Target("1.2.3.4", 443, "/")),
        ("https://[2001:DB8:0::1]:8443/", Target("2001:db8::1", 8443, "/")),
        # Digits and dots of other scripts are what they look like, and then an address that is judged as one.
        ("https://\uff11\uff12\uff17.0.0.1/", Target("127.0.0.1", 443, "/")),
        ("https://127。0。0。1/", Target("127.0.0.1", 443, "/")),
    ],
)
def test_what_a_url_asks_for(url: str, target: Target) -> None:
    assert read_url(url, (443, 8443)) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/",
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@example.org/",
        "https://user:word@example.org/",
        "https://@example.org/",
        "https://example.org@127.0.0.1/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:port/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nHost: other",
        "https://exam\tple.org/",
        "https://example.org/straße",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://127.0.0.01/",
        "https://1.2.3.4.5/",
        "https://example.0x1/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.x]/",
        "https://[1.2.3.4]/",
        "https://[example.org]/",
        "https://exa_mple.org/",
        "https://-example.org/",
        "https://a..b/",
        "https://*.example.org/",
        "https://" + "a" * 64 + ".org/",
        "https://" + "a." * 130 + "org/",
        "https://example.org/" + "a" * 2048,
        "https://ex\u200bample.org\u2044x/",
    ],
)
def test_what_is_no_url_for_us(url: str) -> None:
    with pytest.raises(InvalidError, match="url_invalid"):
        read_url(url, (443,))


@pytest.mark.parametrize("url", ["https://example.org:22/", "https://example.org:8443/", "https://example.org:0/"])
def test_other_ports_are_refused(url: str) -> None:
    with pytest.raises(InvalidError, match="url_refused"):
        read_url(url, (443,))
