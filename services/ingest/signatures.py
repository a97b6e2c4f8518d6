"""DKIM (RFC 6376, 8301, 8463) with dkimpy, within bounds.

dkimpy reads the header and checks the signature over it; the body is hashed by bodyhash, in blocks. Only the first few
signatures are looked at. Two kinds of signature do not count although they may be valid, and are reported as "policy":
those that leave the end of the body unsigned (`l=`, RFC 6376 8.2), and those with SHA-1 (RFC 8301 3.1).
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dkim
from dkim.canonicalization import CanonicalizationPolicy

from libs.mail.bodyhash import ALGORITHMS, body_hash
from libs.mail.letter import Letter
from services.ingest.resolver import Records, TemporaryDnsError

DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
_SHORT = re.compile(r"[A-Za-z0-9+/]{8}")
_SPACE = re.compile(rb"\s+")
MAX_HEADER_BYTES = 256 * 1024

Ask = Callable[[str, str], Records]

# dkimpy writes domains and hashes to its logger.
_SILENT = logging.getLogger("sealpost.dkim")
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of one signature. `domain` and `selector` are fit for a field, or empty."""

    result: str
    domain: str = ""
    selector: str = ""
    # The beginning of `b=`, which tells signatures of one domain apart (RFC 6008).
    short: str = ""


class _PolicyError(Exception):
    """The signature is of a kind that does not count here."""


class _NoKeyError(Exception):
    """The domain publishes no such key, or none that can be used."""


def verify(letter: Letter, ask: Ask, most: int) -> list[Signature]:
    """Return the results for the first `most` signatures of a mail; none if it carries none.

    `ask` is a Resolver's lookup without its deadline. Raises nothing of the mail's making.
    """
    present = min(len(letter.fields.all(b"dkim-signature")), most)
    if not present:
        return []
    if letter.header_end > MAX_HEADER_BYTES:
        return [Signature("policy")]
    try:
        verifier = _Verifier(letter)
    except dkim.DKIMException:
        return [Signature("permerror")]
    return [_verify_one(verifier, number, ask) for number in range(present)]


def _verify_one(verifier: _Verifier, number: int, ask: Ask) -> Signature:
    verifier.signature_fields = {}
    result = "permerror"
    try:
        result = "pass" if verifier.verify(number, dnsfunc=_key_finder(ask)) else "fail"
    except dkim.ValidationError:
        result = "fail"
    except _PolicyError:
        result = "policy"
    except TemporaryDnsError:
        result = "temperror"
    except Exception:  # keys and tags may be anything, and dkimpy raises what its parsers raise: their owner's fault
        result = "permerror"
    return _described(result, verifier.signature_fields)


def _described(result: str, tags: dict[bytes, bytes]) -> Signature:
    domain, selector = (tags.get(tag, b"").decode("ascii", "replace") for tag in (b"d", b"s"))
    short = _SHORT.match(_SPACE.sub(b"", tags.get(b"b", b"")).decode("ascii", "replace"))
    if not DOMAIN.match(domain):
        return Signature("permerror")
    return Signature(result, domain.lower(), selector if DOMAIN.match(selector) else "", short[0] if short else "")


def _key_finder(ask: Ask) -> Callable[..., bytes]:
    def find(name: bytes, timeout: float = 5) -> bytes:
        return key_record(name, ask)

    return find


def key_record(name: bytes, ask: Ask) -> bytes:
    """Return the record of a key that can be used. Raises: TemporaryDnsError, and others where there is none."""
    records = ask(name.decode("ascii").rstrip("."), "TXT")
    if not records:
        raise _NoKeyError
    try:
        # dkimpy would call a broken key a failed signature; its owner's mistake is no sign of forgery.
        dkim.evaluate_pk(name, bytes(records[0]))
    except Exception as error:  # a record may be anything, and parsers raise what they raise
        raise _NoKeyError from error
    return bytes(records[0])


class HeaderOnly(dkim.DomainSigner):  # type: ignore[misc]  # dkimpy has no types
    """dkimpy's verifiers, given the header alone."""

    def __init__(self, letter: Letter) -> None:
        """Read the header of `letter`. Raises: dkim.DKIMException."""
        header = bytes(letter.content[: letter.header_end])
        super().__init__(header + b"\r\n", logger=_SILENT)
        self._letter = letter
        self._hashes: dict[tuple[bytes, bytes], tuple[bytes, int]] = {}

    def verify_sig_process(self, sig: dict[bytes, bytes], include_headers: Any, sig_header: Any, dnsfunc: Any) -> Any:
        """Check the body's hash here, and let dkimpy check the rest as if the signature were over the header alone."""
        if b"bh" not in sig:
            # An ARC-Seal: it covers no body.
            return super().verify_sig_process(sig, include_headers, sig_header, dnsfunc)
        if sig[b"a"] not in ALGORITHMS:
            raise _PolicyError
        try:
            policy = CanonicalizationPolicy.from_c_value(sig.get(b"c", b"simple/simple"))
        except dkim.InvalidCanonicalizationPolicyError as error:
            raise dkim.MessageFormatError("c=") from error
        key = (policy.body_algorithm.name, sig[b"a"])
        if key not in self._hashes:
            self._hashes[key] = body_hash(self._letter.content, self._letter.body, *key)
        digest, length = self._hashes[key]
        if b"l" in sig and int(sig[b"l"]) < length:
            raise _PolicyError
        if base64.b64decode(_SPACE.sub(b"", sig[b"bh"])) != digest:
            raise dkim.ValidationError("bh=")
        rest = {tag: value for tag, value in sig.items() if tag != b"bh"}
        return super().verify_sig_process(rest, include_headers, sig_header, dnsfunc)


class _Verifier(HeaderOnly, dkim.DKIM):  # type: ignore[misc]  # dkimpy has no types
    """The verifier of DKIM signatures."""
