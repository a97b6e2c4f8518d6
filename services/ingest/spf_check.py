"""SPF (RFC 7208) with pyspf, asking our resolver."""

from __future__ import annotations

from typing import Any

import spf

from services.ingest.domain import Client
from services.ingest.resolver import TemporaryDnsError, UnknownYetError
from services.ingest.signatures import Ask

_RESULTS = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})


def check(client: Client, sender: str, ask: Ask) -> str:
    """Return the result for `sender` ("" for <>, then it is the name in EHLO that counts) from this client.

    Raises:
        UnknownYetError: as `ask` does.
    """
    hello = "" if client.hello.startswith("[") else client.hello
    if not sender and not hello:
        return "none"
    try:
        result = _Query(client.address, sender, hello, ask).check()[0]
    except UnknownYetError:
        raise
    except Exception:  # a record may be anything, and pyspf raises what its parsers raise: its owner's fault
        return "permerror"
    return result if result in _RESULTS else "permerror"


class _Query(spf.query):  # type: ignore[misc]  # pyspf has no types
    """pyspf's evaluation with our answers instead of its own questions; it keeps counting them (RFC 7208 4.6.4)."""

    def __init__(self, address: str, sender: str, hello: str, ask: Ask) -> None:
        super().__init__(i=address, s=sender, h=hello, strict=True)
        self._ask = ask

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """Return the records in pyspf's form."""
        try:
            records = self._ask(str(name).rstrip("."), qtype)
        except TemporaryDnsError:
            raise spf.TempError("dns") from None
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("void lookups")
        return [(record,) for record in records] if qtype == "TXT" else list(records)
