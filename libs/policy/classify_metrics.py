"""What differs between the metrics of two versions: anything recorded, counted or released more is material."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libs.policy.changes import Change, every_profile

Part = Mapping[str, Any]


def metrics(old: Part, new: Part) -> Iterator[Change]:
    """Give the changes of metrics and of their budget between two documents."""
    before, after = old["metrics"], new["metrics"]
    for name in sorted({*before, *after}):
        if name not in before:
            yield _change(name, True, "", after[name]["title"])
        elif name not in after:
            yield _change(name, False, before[name]["title"], "")
        elif before[name] != after[name]:
            yield from _metric(name, before[name], after[name])
    for part in ("epsilon_per_day", "delta_per_day"):
        was, now = old["budget"][part], new["budget"][part]
        if was != now:
            yield _change(part, now > was, f"{was!r}", f"{now!r}")


def _metric(name: str, old: Part, new: Part) -> Iterator[Change]:
    found = [*_recorded(old, new), *_released(old["cuts"], new["cuts"])]
    for material, before, after in found:
        yield _change(name, material, before, after)
    if not found:
        said = [", ".join([one["title"], one["help"], *_cut_titles(one)]) for one in (old, new)]
        if said[0] != said[1]:
            yield Change("wording", name, False, said[0], said[1], every_profile())


def _recorded(old: Part, new: Part) -> Iterator[tuple[bool, str, str]]:
    for part in ("unit", "kind", "key"):
        if old[part] != new[part]:
            yield True, f"{part}: {old[part]}", f"{part}: {new[part]}"
    if old["per_unit"] != new["per_unit"]:
        yield new["per_unit"] > old["per_unit"], f"{old['per_unit']} a day", f"{new['per_unit']} a day"
    for name in sorted({*old["dimensions"], *new["dimensions"]}):
        before, after = old["dimensions"].get(name), new["dimensions"].get(name)
        if before is None:
            yield True, "", f"by {name}"
        elif after is None:
            yield False, f"by {name}", ""
        elif set(before) != set(after):
            # A word more in a vocabulary splits what was counted under "other"; what is recorded stays the same.
            yield False, f"{name}: {', '.join(sorted(before))}", f"{name}: {', '.join(sorted(after))}"


def _released(old: Mapping[str, Part], new: Mapping[str, Part]) -> Iterator[tuple[bool, str, str]]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None and after is not None:
            yield True, "", _said(after)
        elif before is not None and after is None:
            yield False, _said(before), ""
        elif before is not None and after is not None and _said(before) != _said(after):
            more = set(after["dimensions"]) - set(before["dimensions"]) or before["window"] != after["window"]
            louder = after["epsilon"] > before["epsilon"] or after["delta"] > before["delta"]
            yield bool(more) or louder, _said(before), _said(after)


def _said(cut: Part) -> str:
    by = ", ".join(sorted(cut["dimensions"])) or "in all"
    return f"{by}, each {cut['window']}, epsilon {cut['epsilon']!r}, delta {cut['delta']!r}"


def _cut_titles(metric: Part) -> list[str]:
    return [metric["cuts"][name]["title"] for name in sorted(metric["cuts"])]


def _change(subject: str, material: bool, before: str, after: str) -> Change:
    return Change("metric", subject, material, before, after, every_profile())
