"""The engines of the persistence contract, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docstore import ENGINES, Engine, make_engine, mongodb_server


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bool]]:
    """The URI of a MongoDB server, and whether it is nx-27017."""
    with mongodb_server(tmp_path_factory.mktemp("mongodb")) as server:
        yield server


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Each engine in turn, with an empty place of its own."""
    server = request.getfixturevalue("mongodb") if request.param == "mongodb" else None
    return make_engine(request.param, tmp_path, server)
