"""The one choke point of platform mail: where an account may be reached, and for what (policy E8, E10, S5).

Whoever wants to write to an account says what for. Purposes, and the consent that each needs, stand in policy.yaml
(`mail`); one that does not stand there is refused, and so is one that the owner has not agreed to. The account's own
mailbox comes first; the contact address follows only where policy.yaml lets the purpose use it and the owner agreed to
be contacted there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.policy.parts import MailPurpose
from libs.runtime.errors import DeniedError
from services.accounts.domain.model import Profile
from services.accounts.domain.rights import OwnersRights
from services.accounts.domain.rights_ports import ConsentTo
from services.accounts.domain.vault import Vault


@dataclass(frozen=True)
class Reached:
    """The addresses of an account, its own first."""

    addresses: tuple[str, ...]
    profile: Profile


class Reach:
    """Answers whether and where an account may be written to."""

    def __init__(self, purposes: Mapping[str, MailPurpose], rights: OwnersRights, vault: Vault) -> None:
        """`purposes` by name, as in policy.yaml."""
        self._purposes = purposes
        self._rights = rights
        self._vault = vault

    async def of(self, account_id: str, purpose: str) -> Reached:
        """Return where an account may be reached for a purpose.

        Raises: DeniedError("purpose" | "no_consent"), NotFoundError("account_not_found").
        """
        allowed = self._purposes.get(purpose)
        if allowed is None:
            raise DeniedError("purpose")
        own = await self._rights.get(account_id)
        if allowed.consent != "none" and not own.consents.to(ConsentTo(allowed.consent)).given:
            raise DeniedError("no_consent")
        addresses = [self._vault.identity(own.account).address]
        if allowed.contact and own.contact and own.consents.to(ConsentTo.CONTACT).given:
            addresses.append(own.contact)
        return Reached(tuple(addresses), own.account.profile)
