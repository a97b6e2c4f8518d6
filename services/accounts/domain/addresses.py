"""Mail addresses: strict syntax, one canonical form.

A mailbox is found by the keyed hash of its canonical address, so two spellings of one mailbox must give the same text,
and one text must never stand for two mailboxes. The steps, in this order, because each could undo the ones before:
bounds on octets, split at the last `@`, unquoting, folding (NFKC and case), and only then the check of every character.

Domain: lower-case A-labels (IDNA 2008, RFC 5891; mapping of RFC 5895 as UTS 46 does it). Local part: RFC 5321 4.1.2
Dot-string, with RFC 6531's UTF-8 without control, format and space characters. A quoted string is taken for the
Dot-string that it quotes (RFC 5321 4.1.2: both mean the same mailbox); one that needs its quotes names no mailbox that
could exist here and is refused, for it is a classic carrier of smuggled syntax. Local parts are case-sensitive
elsewhere; folding them is right here because only addresses of our own domains are ever looked up.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import idna

from libs.runtime.errors import InvalidError

MAX_LOCAL_OCTETS = 64
MAX_ADDRESS_OCTETS = 254

_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]"
_ASCII_LOCAL = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_ANY_ATEXT = r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])"
_ANY_LOCAL = re.compile(rf"{_ANY_ATEXT}+(?:\.{_ANY_ATEXT}+)*\Z")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*)"\Z')
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_LITERAL = re.compile(r"\[[!-Z^-~]+\]\Z")
_SIGN_UP_LOCAL = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z")


@dataclass(frozen=True)
class Address:
    """A canonical address: `local` folded and without quotes, `domain` in lower-case A-labels or a domain literal."""

    local: str
    domain: str

    @property
    def text(self) -> str:
        """The canonical address itself."""
        return f"{self.local}@{self.domain}"

    @property
    def base(self) -> Address:
        """The same address without a sub-address (RFC 5233): `user+tag` is `user`. A leading `+` is part of a name."""
        name, plus, _ = self.local.partition("+")
        return Address(name, self.domain) if plus and name else self


def parse_address(text: str) -> Address:
    """Return the canonical form of an address as it stands in RCPT TO, without brackets.

    The bare `postmaster` (RFC 5321 4.1.1.3) has no domain and is not an address: the caller knows what it stands for.
    Raises: InvalidError("address_invalid") if no mailbox anywhere could have this address as sealpost reads RFC 5321.
    """
    if not 3 <= len(text) <= MAX_ADDRESS_OCTETS or len(text.encode()) > MAX_ADDRESS_OCTETS:
        raise InvalidError("address_invalid")
    local, at, domain = text.rpartition("@")
    if not at:
        raise InvalidError("address_invalid")
    try:
        host = domain.lower() if _LITERAL.match(domain) else canonical_domain(domain)
    except InvalidError as error:
        raise InvalidError("address_invalid") from error
    address = Address(_canonical_local(local), host)
    if len(address.text.encode()) > MAX_ADDRESS_OCTETS:
        raise InvalidError("address_invalid")
    return address


def canonical_domain(domain: str) -> str:
    """Return a domain name in lower-case A-labels, as given to SMTP: without a trailing dot.

    Raises: InvalidError("domain_invalid").
    """
    # idna works in more than linear time on long input, so the bound stands first.
    if not 0 < len(domain) <= 253:
        raise InvalidError("domain_invalid")
    host = domain.lower() if domain.isascii() else domain
    if not host.isascii() or "xn--" in host:
        try:
            host = idna.encode(host, strict=True, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError as error:
            raise InvalidError("domain_invalid") from error
    if len(host) > 253 or not _HOST.match(host):
        raise InvalidError("domain_invalid")
    return host


def may_be_signed_up(address: Address) -> bool:
    """Tell whether a member may choose this local part: ASCII letters and digits, single `.`, `_`, `-` between them.

    Narrower than what mail allows: no look-alike letters, nothing that other systems quote or cut, no `+`.
    """
    return _SIGN_UP_LOCAL.match(address.local) is not None


def _canonical_local(local: str) -> str:
    quoted = _QUOTED.match(local)
    if quoted:
        local = re.sub(r"\\(.)", r"\1", quoted.group(1))
    if local.isascii():
        folded, allowed = local.lower(), _ASCII_LOCAL
    else:
        # Case folding can leave a decomposed text, hence the second normalisation.
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).casefold())
        allowed = _ANY_LOCAL
        if any(unicodedata.category(character)[0] in "CZ" for character in folded):
            raise InvalidError("address_invalid")
    if max(len(local.encode()), len(folded.encode())) > MAX_LOCAL_OCTETS or not allowed.match(folded):
        raise InvalidError("address_invalid")
    return folded
