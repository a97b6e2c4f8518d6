"""Keyed hashes under which things of customers are kept, and the forms of what is hashed.

An address is suppressed in every spelling that reaches the same mailbox almost everywhere: the domain in lower-case
A-labels, the local part folded. RFC 5321 would let a server tell cases apart; to write to somebody who asked not to be
written to, because a list had him in capitals, would be the worse mistake.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import idna

from libs.envelope import KeyedHash
from libs.mail.addresses import PathError, read_path
from libs.runtime.errors import InvalidError

_SEPARATOR = b"\n"


class Marks:
    """The hashes of this installation."""

    def __init__(self, hashes: KeyedHash) -> None:
        """Hash under the look-up key."""
        self._hashes = hashes

    def account(self, account_id: str) -> str:
        """Return the mark of an account, 32 hexadecimal digits, as all below."""
        return self._of("account", account_id)

    def suppression(self, account_id: str, address: str) -> str:
        """Return the mark of a canonical address for one account; another account's is another."""
        return self._of("suppression", account_id, address)

    def domain(self, domain: str) -> str:
        """Return the mark of a canonical domain."""
        return self._of("sender_domain", domain)

    def ownership(self, account: str, domain: str) -> str:
        """Return what the account of this mark publishes in a domain to show that it is its own."""
        return self._of("ownership", account, domain)

    def campaign(self, account_id: str, campaign: str) -> str:
        """Return the mark of one account's campaign."""
        return self._of("campaign", account_id, campaign)

    def uncounted(self, address: str) -> str:
        """Return the mark of a canonical address whose holder is not counted, whoever writes to it."""
        return self._of("uncounted", address)

    def reservation(self, account_id: str, name: str, recipients: int) -> str:
        """Return the mark of recipients that an account has reserved under a name."""
        return self._of("reservation", account_id, str(recipients), name)

    def _of(self, purpose: str, *values: str) -> str:
        return self._hashes.digest(purpose, _SEPARATOR.join(value.encode() for value in values)).hex()


def canonical_domain(domain: str) -> str:
    """Return a domain name in lower-case A-labels. Raises: InvalidError("domain_invalid")."""
    text = domain.strip().removesuffix(".")
    if not 0 < len(text) <= 253:
        raise InvalidError("domain_invalid")
    try:
        host = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:
        raise InvalidError("domain_invalid") from error
    labels = host.split(".")
    if len(host) > 253 or len(labels) < 2 or labels[-1].isdigit():
        raise InvalidError("domain_invalid")
    return host


def canonical_address(address: str) -> str:
    """Return the one text of all spellings of an address. Raises: InvalidError("address_invalid")."""
    try:
        path = read_path(f"TO:<{address}>", "TO:")
    except PathError as error:
        raise InvalidError("address_invalid") from error
    # A route, <> and the bare postmaster are paths, but no addresses.
    if path.address != address or not path.domain:
        raise InvalidError("address_invalid")
    local, _, domain = address.rpartition("@")
    if not domain.startswith("["):
        domain = _a_labels(domain)
    return f"{unicodedata.normalize('NFKC', local).casefold()}@{domain.lower()}"


@lru_cache(maxsize=1024)
def _a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True, std3_rules=False).decode("ascii")
    except UnicodeError:
        # Real domains that IDNA does not take have underscores or old hyphens; they are compared as written.
        return domain.lower()
