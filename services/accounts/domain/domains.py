"""The domains served here, and the names at them that nobody may have.

Role names are what RFC 2142 and certificate authorities (CA/Browser Forum Baseline Requirements 3.2.2.4.4) take for the
owner of a domain. Whoever reads mail to `admin@` can get a certificate for the domain; so at every domain of ours,
public ones included, these names lead to the operator and are never anybody's inbox. System names are merely too
official for a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libs.runtime.errors import InvalidError
from services.accounts.domain.addresses import Address, canonical_domain
from services.accounts.domain.model import Profile

ROLE_NAMES = frozenset(
    "postmaster abuse hostmaster webmaster admin administrator security noc ssladmin sysadmin dmarc tlsrpt".split()
)
SYSTEM_NAMES = frozenset(
    """
    root mailer-daemon daemon bin nobody operator support help helpdesk staff team noreply no-reply do-not-reply
    billing payment payments privacy legal sealpost system server service mail email smtp imap pop pop3 www web ftp
    dns ssl tls certificate certmaster news usenet uucp marketing sales info account accounts login password recovery
    moderator official bounce bounces null
    """.split()
)


@dataclass(frozen=True)
class ServedDomain:
    """A domain of this installation; `name` in lower-case A-labels."""

    name: str
    profile: Profile
    open_for_sign_up: bool


class Domains:
    """What is served here."""

    def __init__(
        self, member: Iterable[str], public: Iterable[str], relay: Iterable[str] = (), *, sign_up_open: bool
    ) -> None:
        """Take the names of the domains of members, of public inboxes and of relay accounts, in any spelling.

        Raises: InvalidError("domain_invalid") for a name that is none, InvalidError("domain_repeated") for one that
        is given twice, in one list or in two, InvalidError("domains_missing") without any member domain.
        """
        served = [ServedDomain(canonical_domain(name), Profile.SEALED, sign_up_open) for name in member]
        if not served:
            raise InvalidError("domains_missing")
        self.primary = served[0].name
        served += [ServedDomain(canonical_domain(name), Profile.RELAY, sign_up_open) for name in relay]
        served += [ServedDomain(canonical_domain(name), Profile.PUBLIC, False) for name in public]
        self._by_name = {domain.name: domain for domain in served}
        if len(self._by_name) != len(served):
            raise InvalidError("domain_repeated")

    def all(self) -> list[ServedDomain]:
        """Return every domain: those of members, of relay accounts, public ones."""
        return list(self._by_name.values())

    def find(self, name: str) -> ServedDomain | None:
        """Return the domain of this canonical name, None if it is not served here."""
        return self._by_name.get(name)


def is_role_address(address: Address) -> bool:
    """Tell whether mail to this address of ours is for the operator (RFC 5321 4.5.1, RFC 2142)."""
    return address.base.local in ROLE_NAMES


def is_reserved(address: Address) -> bool:
    """Tell whether nobody may sign up for this address; separators do not make it another name (`post-master`)."""
    plain = address.local.replace(".", "").replace("_", "").replace("-", "")
    return address.local in ROLE_NAMES | SYSTEM_NAMES or plain in _PLAIN


_PLAIN = frozenset(name.replace("-", "") for name in ROLE_NAMES | SYSTEM_NAMES)
