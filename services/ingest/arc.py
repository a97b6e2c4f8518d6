"""The chain of custody that forwarders leave in a mail (ARC, RFC 8617), validated with dkimpy within bounds.

dkimpy reads the sets and checks the newest ARC-Message-Signature and every ARC-Seal, which is what RFC 8617 5.2 asks
for; the body is hashed by bodyhash, as with DKIM. What could not be found out - DNS does not answer, a field is too
strange for the library - is "" and not a failure: a failure that we sealed would end the chain for good.
"""

from __future__ import annotations

import re
from typing import Any

import dkim

from libs.mail.letter import Letter
from services.ingest.resolver import TemporaryDnsError
from services.ingest.signatures import MAX_HEADER_BYTES, Ask, HeaderOnly, key_record

# RFC 8617 4.2.1.
MAX_SETS = 50

_SEAL = b"arc-seal"
_FIELDS = (b"arc-authentication-results", b"arc-message-signature", _SEAL)
_ENDED = re.compile(rb"(?:\A|;)\s*cv\s*=\s*fail\s*(?:;|\Z)", re.IGNORECASE)
_INSTANCE = re.compile(rb"(?:\A|;)\s*i\s*=\s*(\d{1,9})\s*(?:;|\Z)")


def is_there(letter: Letter) -> bool:
    """Tell whether a mail carries anything of a chain."""
    return any(letter.fields.all(name) for name in _FIELDS)


def verify(letter: Letter, ask: Ask) -> str:
    """Return "none", "pass", "fail", "ended" for a chain whose newest seal says that it failed before, "" for unknown.

    `ask` is a Resolver's lookup without its deadline. Raises nothing of the mail's making.
    """
    if not is_there(letter):
        return "none"
    if letter.header_end > MAX_HEADER_BYTES:
        return ""
    seals = {_instance(value): value for value in letter.fields.all(_SEAL)}
    newest = max(seals, default=0)
    if not 0 < newest <= MAX_SETS or any(len(letter.fields.all(name)) > MAX_SETS for name in _FIELDS):
        return "fail"
    if _ENDED.search(seals[newest].replace(b"\r\n", b"")):
        return "ended"
    try:
        result, _, _ = _Verifier(letter, newest).verify(dnsfunc=_key_finder(ask))
    except dkim.DKIMException:
        return "fail"
    except Exception:  # DNS may be silent, and fields may be anything: dkimpy raises what its parsers raise
        return ""
    return {dkim.CV_Pass: "pass", dkim.CV_Fail: "fail"}.get(result, "fail")


def _instance(value: bytes) -> int:
    found = _INSTANCE.search(value.replace(b"\r\n", b""))
    return int(found[1]) if found else 0


class _Verifier(HeaderOnly, dkim.ARC):  # type: ignore[misc]  # dkimpy has no types
    """dkimpy's verifier, given the header alone."""

    def __init__(self, letter: Letter, newest: int) -> None:
        super().__init__(letter)
        self._newest = str(newest).encode()

    def verify_sig(self, sig: dict[bytes, bytes], include_headers: Any, sig_header: Any, dnsfunc: Any) -> Any:
        """Check seals, and of the signatures over the mail only the newest: it changes on its way."""
        if sig_header[0].lower() != _SEAL and sig.get(b"i") != self._newest:
            return True
        return super().verify_sig(sig, include_headers, sig_header, dnsfunc)


def _key_finder(ask: Ask) -> Any:
    def find(name: bytes, timeout: float = 5) -> bytes:
        try:
            return key_record(name, ask)
        except TemporaryDnsError:
            raise
        except Exception as error:
            # What verifies nothing is a failure of the set that names it.
            raise dkim.KeyFormatError("no key") from error

    return find
