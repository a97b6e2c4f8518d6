"""Releases as a table for spreadsheets (RFC 4180), one row for each cell, and one for each window that is missing.

Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers are written by us and stay
numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io

from services.gateway.http.operator_models import Statistics

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FIRST = ("start", "end")
_LAST = ("value", "half_width_95", "epsilon", "delta", "threshold", "scale", "released", "missing")


def table_of(found: Statistics) -> str:
    """Return the table; times are RFC 3339 in UTC."""
    out = io.StringIO()
    writer = csv.writer(out)
    keyed = any(cell.key for release in found.releases for cell in release.cells)
    writer.writerow([*_FIRST, *map(_text, found.dimensions), *(["key"] if keyed else []), *_LAST])
    empty = [""] * (len(found.dimensions) + keyed)
    rows: list[tuple[str, list[object]]] = []
    for release in found.releases:
        start, end = f"{release.start:%Y-%m-%dT%H:%M:%SZ}", f"{release.end:%Y-%m-%dT%H:%M:%SZ}"
        of_all = [release.half_width, release.epsilon, release.delta, release.threshold, release.scale]
        for cell in release.cells:
            values = [*map(_text, cell.values), *([_text(cell.key or "")] if keyed else [])]
            row = [start, end, *values, cell.value, *of_all, f"{release.released:%Y-%m-%dT%H:%M:%SZ}", ""]
            rows.append((start, row))
    for gap in found.missing:
        start, end = f"{gap.start:%Y-%m-%dT%H:%M:%SZ}", f"{gap.end:%Y-%m-%dT%H:%M:%SZ}"
        rows.append((start, [start, end, *empty, *[""] * (len(_LAST) - 1), _text(gap.reason)]))
    writer.writerows(row for _, row in sorted(rows, key=lambda entry: entry[0]))
    return out.getvalue()


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
