"""Programs that only some tests need: absent, they skip the test by name; with SEALPOST_REQUIRE_ALL=1 they fail it."""

from __future__ import annotations

import os
import shutil

import pytest

_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"


def require_tool(name: str) -> str:
    """Return the path of program `name`; skip (or, where all is required, fail) the calling test if it is absent."""
    path = find_tool(name)
    if path is not None:
        return path
    if os.environ.get("SEALPOST_REQUIRE_ALL") == "1":
        pytest.fail(f"{name} is not installed, and SEALPOST_REQUIRE_ALL=1 wants it")
    pytest.skip(f"{name} is not installed")


def find_tool(name: str) -> str | None:
    """Return the path of program `name`, or None; Debian keeps daemons and smtp-source in sbin."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + _SBIN)
