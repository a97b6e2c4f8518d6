"""Addresses of recipients: by the grammar of SMTP, with a domain that can be looked up."""

from __future__ import annotations

from libs.mail.addresses import PathError, read_path
from libs.runtime.errors import InvalidError
from services.delivery.domain.authors import domain_of


def check_recipient(address: str) -> str:
    """Return `address` if mail can be sent there: a mailbox at a domain name, without quotes around it or a route.

    Raises: InvalidError("recipient_invalid").
    """
    try:
        path = read_path(f"TO:<{address}>", "TO:")
        if path.address != address or not path.domain:
            raise InvalidError("recipient_invalid")
        domain_of(address)
    except (PathError, InvalidError) as error:
        raise InvalidError("recipient_invalid") from error
    return address


def domain_key(address: str) -> str:
    """Return the domain of a checked address in lower-case A-labels."""
    domain = address.rpartition("@")[2]
    return domain.lower() if domain.isascii() else domain_of(address)
