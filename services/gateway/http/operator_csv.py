"""Releases as a table for spreadsheets (RFC 4180), one row for each cell, and one for each window that is missing.

Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers are written by us and stay
numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http.operator_translate import key_of, moment

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FIRST = ("start", "end")
_LAST = ("value", "half_width_95", "epsilon", "delta", "threshold", "scale", "released", "missing")


def table_of(cut: pb.Cut, found: pb.ReleasesResponse) -> bytes:
    """Return the table of the releases of `cut`, in UTF-8; times are RFC 3339 in UTC."""
    keyed = any(cell.key for release in found.releases for cell in release.cells)
    empty = [""] * (len(cut.dimensions) + keyed + len(_LAST) - 1)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_FIRST, *map(_text, cut.dimensions), *(["key"] if keyed else []), *_LAST])
    windows: list[pb.Release | pb.Missing] = [*found.releases]
    windows += found.missing
    for window in sorted(windows, key=lambda one: one.start):
        if isinstance(window, pb.Missing):
            writer.writerow([*_window(window), *empty, _text(window.reason)])
        else:
            writer.writerows(_rows(window, keyed))
    return out.getvalue().encode()


def _rows(release: pb.Release, keyed: bool) -> Iterator[list[object]]:
    window, released = _window(release), moment(release.released_at)
    exact = [release.half_width, release.epsilon, release.delta, release.threshold, release.scale]
    for cell in release.cells:
        place = [*map(_text, cell.values), *([key_of(cell) or ""] if keyed else [])]
        yield [*window, *place, cell.value, *exact, released, ""]


def _window(found: pb.Release | pb.Missing) -> tuple[str, str]:
    return moment(found.start), moment(found.end)


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
