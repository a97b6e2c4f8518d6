"""Reads the policy, which is part of the program: a fault in it stops the start.

Three places are merged before anything is checked: policy.yaml; classes/<service>.yaml, what each service keeps, with
the rules that only it needs; clauses/<group>.yaml, the sentences. A name that stands twice is a fault. The operator's
overrides, a file of `rules: {name: number}`, are put in last and checked by the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from libs.policy.model import Policy
from libs.runtime.strict_yaml import YamlError, read_mapping

HOME = Path(__file__).parent
PATH = HOME / "policy.yaml"
Raw = dict[str, Any]


class PolicyError(Exception):
    """The policy does not say what it may; the text names each place and fault."""


@cache
def load_policy(overrides: Path | None = None) -> Policy:
    """Return the policy of this program, with the rules that the file `overrides` gives other values.

    Raises: PolicyError.
    """
    return read_policy(HOME) if overrides is None else override(read_raw(HOME), overrides)


def read_policy(home: Path) -> Policy:
    """Return the policy in the directory `home`. Raises: PolicyError."""
    return checked(read_raw(home))


def read_raw(home: Path) -> Raw:
    """Return what the files in `home` say, merged but not checked. Raises: PolicyError."""
    raw = _read(home / "policy.yaml")
    for file in sorted((home / "classes").glob("*.yaml")):
        part = _read(file, {"classes", "rules"})
        for one in part.get("classes", {}).values():
            if isinstance(one, dict):
                one.setdefault("service", file.stem)
        _merge(raw, part, file)
    for file in sorted((home / "clauses").glob("*.yaml")):
        _merge(raw, _read(file, {"clauses"}), file)
    return raw


def override(raw: Raw, file: Path) -> Policy:
    """Return the policy `raw` with the overrides of `file`. Raises: PolicyError, also for what would be too weak."""
    rules = _read(file, {"rules"}).get("rules", {})
    known = raw.get("rules", {})
    if unknown := sorted(set(map(str, rules)) - set(known)):
        raise PolicyError(f"{file.name}: no such rule: {', '.join(unknown)}")
    return checked({**raw, "rules": {**known, **{name: {**known[name], "value": rules[name]} for name in rules}}})


def checked(raw: Raw) -> Policy:
    """Return `raw` as a policy. Raises: PolicyError."""
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise PolicyError("; ".join(faults)) from error


def _read(file: Path, parts: set[str] | None = None) -> Raw:
    try:
        raw = read_mapping(file)
    except YamlError as error:
        raise PolicyError(str(error)) from error
    if parts is not None:
        if unknown := sorted(set(map(str, raw)) - parts):
            raise PolicyError(f"{file.name}: may not say {', '.join(unknown)}")
        for part in raw:
            _expect_mapping(raw[part], file)
    return raw


def _expect_mapping(what: object, file: Path) -> None:
    if not isinstance(what, dict):
        raise PolicyError(f"{file.name}: a mapping is expected, not {type(what).__name__}")


def _merge(raw: Raw, part: Mapping[str, Any], file: Path) -> None:
    for section, entries in part.items():
        into = raw.setdefault(section, {})
        if twice := sorted(set(entries) & set(into)):
            raise PolicyError(f"{file.name}: {section}: {', '.join(map(str, twice))} stands twice")
        into.update(entries)
