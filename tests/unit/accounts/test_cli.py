"""The command line: the address comes on standard input, and nothing but `roles` ever says one."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from libs.docstore import open_store
from libs.runtime.settings import load
from services.accounts.cli import main
from services.accounts.domain.model import Account
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.settings import Settings
from tests.support.clock import ManualClock
from tests.unit.accounts.support import make_wish

ADA = "ada@sealpost.test"
WISH = make_wish()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name, digits in (("kek", "11"), ("lookup_key", "22")):
        (tmp_path / name).write_text(digits * 32 + "\n")
    (tmp_path / "overrides.yaml").write_text("rules: {statistics_holders: 1}\n")
    environ = {
        "SEALPOST_KEK_FILE": str(tmp_path / "kek"),
        "SEALPOST_LOOKUP_KEY_FILE": str(tmp_path / "lookup_key"),
        "SEALPOST_STORE": f"sqlite:{tmp_path / 'data'}",
        "SEALPOST_POLICY_OVERRIDES": str(tmp_path / "overrides.yaml"),
    }
    asyncio.run(sign_up(environ))
    return environ


async def sign_up(environ: dict[str, str]) -> None:
    store = await open_store(environ["SEALPOST_STORE"], "accounts", COLLECTIONS)
    clock = ManualClock()
    graph = make_graph(load(Settings, environ), store, clock)
    for wish in (WISH, make_wish("bob@sealpost.test")):
        await graph.registration.sign_up(wish, clock)
    await store.close()


async def account(environ: dict[str, str]) -> Account | None:
    store = await open_store(environ["SEALPOST_STORE"], "accounts", COLLECTIONS)
    found = await make_graph(load(Settings, environ), store, ManualClock()).accounts.get(WISH.account_id)
    await store.close()
    return found


def run(environ: dict[str, str], *arguments: str, typed: str = ADA) -> int:
    return main(arguments, environ, io.StringIO(typed + "\n"))


def test_the_first_operator_is_made_and_unmade(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(environ, "grant-role", "operator") == 0
    found = asyncio.run(account(environ))
    assert found is not None
    assert [role.value for role in found.roles] == ["operator"]
    said = capsys.readouterr()
    assert "ada" not in said.out + said.err
    assert run(environ, "roles", typed="") == 0
    assert capsys.readouterr().out.split() == ["operator", WISH.account_id, ADA]
    assert run(environ, "revoke-role", "operator", typed=f"  {ADA.upper()}  ") == 0
    assert run(environ, "roles", typed="") == 0
    assert "operator " not in capsys.readouterr().out


def test_an_account_is_closed(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(environ, "grant-role", "support") == 0
    assert run(environ, "close-account") == 0
    assert "Token of the receipt: " in capsys.readouterr().out
    assert asyncio.run(account(environ)) is None
    assert run(environ, "close-account") == 0
    assert "Token" not in capsys.readouterr().out
    assert run(environ, "grant-role", "support") == 1
    said = capsys.readouterr()
    assert "There is no account with this address." in said.err
    assert ADA not in said.out + said.err


@pytest.mark.parametrize(
    ("typed", "reason"), [("nobody@sealpost.test", "no account"), ("", "not an address"), ("a@b..c", "not an address")]
)
def test_refusals_say_why_and_not_whom(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str], typed: str, reason: str
) -> None:
    assert run(environ, "grant-role", "support", typed=typed) == 1
    said = capsys.readouterr()
    assert reason in said.err
    assert not typed or typed not in said.out + said.err


def test_the_maximum_of_statistics_is_kept(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(environ, "grant-role", "statistics") == 0
    assert run(environ, "grant-role", "statistics", typed="bob@sealpost.test") == 1
    assert "as many holders as the policy allows" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["grant-role"], ["grant-role", "king"], ["roles", ADA], ["grant-role", "operator", ADA]]
)
def test_wrong_arguments_are_refused(environ: dict[str, str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(environ, *arguments)
    assert ended.value.code == 2


def test_wrong_settings_are_told(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(environ | {"SEALPOST_SIGN_UP_OPNE": "1"}, "roles") == 2
    weak = Path(environ["SEALPOST_POLICY_OVERRIDES"]).with_name("weak.yaml")
    weak.write_text("rules: {statistics_holders: 1000}\n")
    assert run(environ | {"SEALPOST_POLICY_OVERRIDES": str(weak)}, "roles") == 2
    assert "SEALPOST_POLICY_OVERRIDES" in capsys.readouterr().err
    assert run({name: text for name, text in environ.items() if name != "SEALPOST_STORE"}, "roles") == 2
    assert "SEALPOST_STORE" in capsys.readouterr().err


def test_a_store_that_cannot_be_opened_is_worth_another_try(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run(environ | {"SEALPOST_STORE": f"sqlite:{tmp_path / 'file' / 'data'}"}, "roles") == 3
    assert "try again" in capsys.readouterr().err
