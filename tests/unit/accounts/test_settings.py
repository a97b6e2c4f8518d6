from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError, load
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.settings import Settings
from tests.support.clock import ManualClock
from tests.unit.accounts.support import make_settings, make_wish


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name, digits in (("kek", "11"), ("lookup_key", "22")):
        (tmp_path / name).write_text(digits * 32 + "\n")
    return {
        "SEALPOST_KEK_FILE": str(tmp_path / "kek"),
        "SEALPOST_LOOKUP_KEY_FILE": str(tmp_path / "lookup_key"),
        "SEALPOST_STORE": f"sqlite:{tmp_path}",
    }


def test_without_more_there_is_a_member_domain_and_a_public_one(environ: dict[str, str]) -> None:
    settings = load(Settings, environ)
    assert [domain.name for domain in settings.domains().all()] == ["sealpost.test", "public.sealpost.test"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MEMBER_DOMAINS": ""}, "SEALPOST_PUBLIC_DOMAINS: domains_missing"),
        ({"MEMBER_DOMAINS": "a.test,a..test"}, "domain_invalid"),
        ({"PUBLIC_DOMAINS": "sealpost.test"}, "domain_repeated"),
        ({"RELAY_DOMAINS": "sealpost.test"}, "domain_repeated"),
        ({"RELAY_DOMAINS": "Public.Sealpost.test"}, "domain_repeated"),
        ({"RELAY_DOMAINS": "relay.test,relay.test"}, "SEALPOST_RELAY_DOMAINS"),
        ({"RELAY_DOMAINS": "relay..test"}, "domain_invalid"),
        ({"OPERATOR_MAILBOX": "a@relay.test", "RELAY_DOMAINS": "relay.test"}, "SEALPOST_OPERATOR_MAILBOX"),
        ({"OPERATOR_MAILBOX": "nobody"}, "SEALPOST_OPERATOR_MAILBOX"),
        ({"OPERATOR_MAILBOX": "ada@elsewhere.example"}, "SEALPOST_OPERATOR_MAILBOX"),
        ({"OPERATOR_MAILBOX": "ada@public.sealpost.test"}, "SEALPOST_OPERATOR_MAILBOX"),
        ({"ATTEMPTS_WINDOW": "0"}, "SEALPOST_ATTEMPTS_WINDOW"),
        # The policy's numbers are set nowhere else.
        ({"PUBLIC_RETENTION": "86400"}, "SEALPOST_PUBLIC_RETENTION"),
        ({"SESSION_IDLE": "3600"}, "SEALPOST_SESSION_IDLE"),
        ({"STATISTICS_HOLDERS": "50"}, "SEALPOST_STATISTICS_HOLDERS"),
    ],
)
def test_settings_that_cannot_be_stop_the_start(environ: dict[str, str], change: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ | {f"SEALPOST_{name}": text for name, text in change.items()})
    assert reason in str(caught.value)
    assert "elsewhere" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kek": Secret("not a key")}, "SEALPOST_KEK_FILE"),
        ({"lookup_key": Secret(b"short")}, "SEALPOST_LOOKUP_KEY_FILE"),
    ],
)
async def test_a_key_that_is_none_stops_the_start(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    async with SqliteStore.open(tmp_path / "accounts.db", COLLECTIONS) as store:
        with pytest.raises(SettingsError) as caught:
            make_graph(make_settings(**change), store, ManualClock())
    assert reason in str(caught.value)
    assert "not a key" not in str(caught.value)


async def test_a_key_encryption_key_can_be_followed_by_another(tmp_path: Path) -> None:
    clock = ManualClock()
    async with SqliteStore.open(tmp_path / "accounts.db", COLLECTIONS) as store:
        first = make_graph(make_settings(), store, clock)
        ada = await first.registration.sign_up(make_wish(), clock)
        both = make_graph(make_settings(kek=Secret("1:" + "11" * 32 + "\n2:" + "33" * 32)), store, clock)
        bob = await both.registration.sign_up(make_wish("bob@sealpost.test"), clock)
        assert both.vault.identity(ada).address == "ada@sealpost.test"
        assert both.vault.identity(bob).address == "bob@sealpost.test"
