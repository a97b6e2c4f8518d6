"""Whether what a clause refers to exists: symbols, files, tests and quotes are looked up, nothing is run.

Modules are parsed, not imported, so that looking up a thousand names costs no start of a service. A name that a module
only imports counts: it is there for whoever looks it up.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_ELLIPSIS = "[...]"


def symbol_exists(root: Path, symbol: str) -> bool:
    """Tell whether `symbol` exists below `root`: a dotted name, or a file and, after "#", what stands in it."""
    if "/" in symbol:
        name, _, inside = symbol.partition("#")
        file = root / name
        return file.is_file() and inside in file.read_text(encoding="utf-8")
    parts = symbol.split(".")
    for length in range(len(parts), 0, -1):
        if module := _module(root, parts[:length]):
            return _defines(_parsed(module).body, parts[length:])
    return False


def has_test(root: Path, test: str) -> bool:
    """Tell whether `test`, path::name, exists below `root`."""
    name, _, function = test.partition("::")
    file = root / name
    return file.is_file() and _defines(_parsed(file).body, [function])


def quote_stands(root: Path, seed: str, quote: str) -> bool:
    """Tell whether `quote` stands in the policy `seed` below `root`; "[...]" leaves something out, spaces are alike."""
    file = root / f"{seed}.txt"
    if not file.is_file():
        return False
    text, place = _plain(file.read_text(encoding="utf-8")), 0
    for piece in quote.split(_ELLIPSIS):
        place = text.find(_plain(piece), place)
        if place < 0:
            return False
    return True


def words_in_code(folders: Iterable[Path]) -> frozenset[str]:
    """Return every text of one word that stands in Python code below `folders`: what a rule is asked for by."""
    return frozenset(
        word
        for folder in folders
        for file in sorted(folder.rglob("*.py"))
        for word in re.findall(r"""["']([a-z][a-z0-9_]{2,40})["']""", file.read_text(encoding="utf-8"))
    )


def _plain(text: str) -> str:
    # Bullets are how the policy sets its lines, not what it says.
    return " ".join(re.sub(r"(?m)^\s*[*\u2022]\s+", "", text).split()).casefold()


def _module(root: Path, parts: list[str]) -> Path | None:
    place = root.joinpath(*parts)
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _defines(body: list[ast.stmt], parts: list[str]) -> bool:
    if not parts:
        return True
    for statement in body:
        if parts[0] in _names(statement):
            inner = statement.body if isinstance(statement, ast.ClassDef) else []
            return len(parts) == 1 or _defines(inner, parts[1:])
    return False


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
