"""The policy that is published says what is so: the linter over the real one, and over what the chart may change."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache

from libs.docstore.store import Collection
from libs.local.plan import ROOT
from libs.policy import load_policy
from libs.policy.lint import Surroundings, lint
from libs.policy.lint_symbols import words_in_code
from libs.policy.loader import HOME
from services.delivery.platform.letters import LETTERS
from services.retention.probes import PROBES

_KEEPERS = {
    "accounts": "services.accounts.repository",
    "analytics": "services.analytics.graph",
    "billing": "services.billing.graph",
    "crypto": "services.crypto.repository",
    "delivery": "services.delivery.main",
    "retention": "services.retention.main",
    "storage": "services.storage.repository",
}


@cache
def kept() -> dict[str, Sequence[Collection]]:
    """Return what each service keeps, as its store is opened with."""
    return {service: importlib.import_module(module).COLLECTIONS for service, module in _KEEPERS.items()}


@cache
def around() -> Surroundings:
    """Return what there really is."""
    return Surroundings(
        root=ROOT,
        seeds=HOME / "seeds",
        collections=kept(),
        probes=frozenset(PROBES),
        letters=frozenset(LETTERS),
        code_words=words_in_code((ROOT / "services", ROOT / "libs")),
    )


def test_the_policy_holds() -> None:
    assert lint(load_policy(), around()) == []


def test_everybody_who_keeps_anything_is_looked_at() -> None:
    keeping = {path.parent.name for path in (ROOT / "services").glob("*/main.py") if "open_store(" in path.read_text()}
    assert keeping == set(_KEEPERS)
