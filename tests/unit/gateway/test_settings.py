"""Settings that cannot be meant are refused at the start."""

from __future__ import annotations

import pytest

from libs.runtime.settings import SettingsError, describe, load
from services.gateway.settings import Settings


@pytest.mark.parametrize(
    "url", ["mail.example.org", "ftp://mail.example.org", "https://", "https://mail.example.org/webmail", "https://a b"]
)
def test_the_public_url_is_scheme_and_host(url: str) -> None:
    with pytest.raises(SettingsError, match="SEALPOST_PUBLIC_URL"):
        load(Settings, {"SEALPOST_PUBLIC_URL": url})


@pytest.mark.parametrize("url", ["", "https://mail.example.org", "https://mail.example.org/", "http://127.0.0.1:8080"])
def test_these_are_urls(url: str) -> None:
    assert load(Settings, {"SEALPOST_PUBLIC_URL": url}).public_url == url


def test_limits_are_positive_and_every_knob_is_described() -> None:
    for name in ("REQUESTS_PER_MINUTE", "STREAMS_PER_CLIENT", "DOWNLOADS_PER_CLIENT", "MAX_CONNECTIONS"):
        with pytest.raises(SettingsError, match=name):
            load(Settings, {f"SEALPOST_{name}": "0"})
    assert "SEALPOST_PROOFS_PER_ADDRESS" in describe(Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("FETCH_PORTS", ""), ("FETCH_PORTS", "0"), ("ALLOWED_NETWORKS", "10.0.0.1/8"), ("RESOLVERS", "dns.example.org")],
)
def test_where_keys_are_looked_up_is_checked(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(Settings, {f"SEALPOST_{name}": value})
