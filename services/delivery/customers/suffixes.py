"""Public suffixes: domains under which strangers register theirs, which therefore are nobody's to send with."""

from __future__ import annotations

import importlib.resources
from functools import cache

from publicsuffix2 import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """Tell whether a canonical domain is a public suffix, `com` or `co.uk`. The first call takes some 50 ms."""
    return bool(_suffixes().get_tld(domain) == domain)


@cache
def _suffixes() -> PublicSuffixList:
    # That of authheaders is newer than publicsuffix2's own.
    name = importlib.resources.files("authheaders") / "public_suffix_list.txt"
    with name.open(encoding="utf-8") as lines:
        return PublicSuffixList(lines)
