"""Whether the policy names everything that is stored, and nothing that is not; and says every number once.

Collections declare the fields of their documents, and in tests a write of another field fails. So what is compared here
is what services write, not what they mean to.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from libs.docstore.store import Collection
from libs.policy import words
from libs.policy.model import Policy
from libs.policy.parts import EVERY, Repeat, Rule

Collections = Mapping[str, Sequence[Collection]]
Faults = Iterator[str]


def field_faults(policy: Policy, collections: Collections) -> Faults:
    """A field that no class names, a field or collection that a class names and nobody has, a class of nobody."""
    for service, kept in collections.items():
        named: dict[str, set[str]] = {}
        for one in policy.classes_of(service).values():
            for place, fields in one.where.items():
                named.setdefault(place, set()).update(fields)
        for collection in kept:
            declared = {*collection.fields, *collection.index_fields}
            if not collection.fields:
                yield f"{service}.{collection.name}: declares no fields"
            for name in sorted(declared - named.get(collection.name, set())):
                yield f"{service}.{collection.name}.{name}: no data class names it"
    yield from _absent(policy, collections)


def _absent(policy: Policy, collections: Collections) -> Faults:
    for name, one in policy.classes.items():
        if one.service != EVERY and one.service not in collections:
            yield f"class {name}: there is no service {one.service} that keeps anything"
            continue
        services = list(collections) if one.service == EVERY else [one.service]
        for collection, fields in one.where.items():
            kept = [here for service in services for here in collections[service] if here.name == collection]
            if not kept:
                yield f"class {name}: {one.service} has no collection {collection}"
                continue
            declared = {field for here in kept for field in (*here.fields, *here.index_fields)}
            for field in sorted(set(fields) - declared):
                yield f"class {name}: {collection} has no field {field}"


def repeat_faults(policy: Policy, root: Path) -> Faults:
    """A setting or a text that says another number than the rule that it repeats."""
    for name, rule in policy.rules.items():
        for repeat in rule.repeated:
            yield from _repeat(name, rule, repeat, root)


def _repeat(name: str, rule: Rule, repeat: Repeat, root: Path) -> Faults:
    if repeat.setting is not None:
        try:
            value = setting_value(repeat.setting)
        except LookupError as error:
            yield f"rule {name}: {error}"
            return
        if value != rule.value:
            yield f"rule {name} is {rule.value}, but {repeat.setting} is {value}"
        return
    file = root / (repeat.text or "")
    number = words.said(rule.unit, rule.value) if repeat.each is None else words.count(rule.value // repeat.each)
    says = words.fill(repeat.says or "", {name: number})
    if not file.is_file() or says not in " ".join(file.read_text(encoding="utf-8").split()):
        yield f"rule {name}: {repeat.text} does not say: {says}"


def setting_value(symbol: str) -> int:
    """Return the number at the dotted name `symbol`; of a field of a settings class its default, times in seconds.

    Raises: LookupError where there is none.
    """
    value = _found(symbol)
    if isinstance(value, datetime.timedelta):
        return int(value.total_seconds())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LookupError(f"{symbol} is no number")
    return int(value)


def _found(symbol: str) -> Any:
    parts = symbol.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part, None)
        return value
    raise LookupError(f"there is no {symbol}")
