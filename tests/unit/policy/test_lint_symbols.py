"""Looking up what a clause names: everything that is there is found, nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.policy.lint_symbols import has_test, quote_stands, symbol_exists, words_in_code

_CODE = """
from elsewhere import thing, other as renamed
LIMIT = 5
TYPED: int = 6
def function(): ...
async def waiting():
    inner = 1
class Outer:
    field: int
    constant = "some_rule"
    def method(self): ...
    class Inner:
        async def deep(self): ...
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("VERSION = 1\n", encoding="utf-8")
    (tmp_path / "package" / "module.py").write_text(_CODE, encoding="utf-8")
    (tmp_path / "page.ts").write_text("export function shown() {}\n", encoding="utf-8")
    (tmp_path / "seed.txt").write_text("* See what data\n  we have.\n\u2022 It is YOURS; or\n not.\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "symbol",
    [
        *("package", "package.VERSION", "package.module", "package.module.LIMIT", "package.module.TYPED"),
        *("package.module.function", "package.module.waiting", "package.module.Outer", "package.module.Outer.field"),
        *("package.module.Outer.constant", "package.module.Outer.method", "package.module.Outer.Inner.deep"),
        *("package.module.thing", "package.module.renamed"),
    ],
)
def test_what_is_there_is_found(root: Path, symbol: str) -> None:
    assert symbol_exists(root, symbol)


@pytest.mark.parametrize(
    "symbol",
    [
        *("nothing", "package.LIMIT", "package.module.inner", "package.module.waiting.inner", "package.module.other"),
        *(
            "package.module.Outer.deep",
            "package.module.Outer.Inner.method",
            "package.module.LIMIT.real",
            "package.modul",
        ),
    ],
)
def test_what_is_not_there_is_not_found(root: Path, symbol: str) -> None:
    assert not symbol_exists(root, symbol)


def test_files_and_what_stands_in_them(root: Path) -> None:
    assert symbol_exists(root, "package/module.py")
    assert symbol_exists(root, "package/../page.ts#function shown")
    assert not symbol_exists(root, "package/../page.ts#function hidden")
    assert not symbol_exists(root, "package/page.ts")


def test_tests(root: Path) -> None:
    assert has_test(root, "package/module.py::waiting")
    assert not has_test(root, "package/module.py::missing")
    assert not has_test(root, "package/none.py::waiting")


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("See what data we have.", True),
        ("see WHAT data", True),
        ("See what [...] it is yours; or not.", True),
        ("It is yours [...] See what", False),
        ("See what dates we have.", False),
    ],
)
def test_quotes(root: Path, quote: str, stands: bool) -> None:
    assert quote_stands(root, "seed", quote) is stands
    assert not quote_stands(root, "none", quote)


def test_words_of_the_code(root: Path) -> None:
    words = words_in_code((root,))
    assert "some_rule" in words
    assert "function" not in words
