"""Releases as a table for spreadsheets (RFC 4180), one row for each cell, and one for each window that is missing.

Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers are written by us and stay
numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io

from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http.operator_translate import key_of, moment

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FIRST = ("start", "end")
_LAST = ("value", "half_width_95", "epsilon", "delta", "threshold", "scale", "released", "missing")


def table_of(cut: pb.Cut, found: pb.ReleasesResponse) -> bytes:
    """Return the table of the releases of `cut`, in UTF-8; times are RFC 3339 in UTC."""
    keyed = any(cell.key for release in found.releases for cell in release.cells)
    rows: list[tuple[int, list[object]]] = []
    for release in found.releases:
        exact = [release.half_width, release.epsilon, release.delta, release.threshold, release.scale]
        for cell in release.cells:
            place = [*map(_text, cell.values), *([key_of(cell) or ""] if keyed else [])]
            rows.append(
                (release.start, [*_window(release), *place, cell.value, *exact, moment(release.released_at), ""])
            )
    empty = [""] * (len(cut.dimensions) + keyed + len(_LAST) - 1)
    rows += [(gap.start, [*_window(gap), *empty, _text(gap.reason)]) for gap in found.missing]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_FIRST, *map(_text, cut.dimensions), *(["key"] if keyed else []), *_LAST])
    writer.writerows(row for _, row in sorted(rows, key=lambda entry: entry[0]))
    return out.getvalue().encode()


def _window(found: pb.Release | pb.Missing) -> tuple[str, str]:
    return moment(found.start), moment(found.end)


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
