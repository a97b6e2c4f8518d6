"""What is kept for the rights of account owners, as data classes: consents, contact addresses, concerns, notices.

Documents are found by the account's index and swept by the libs.owner way; only the export is special, because what is
sealed is opened for its owner, and because what he answered to notices stands in the account's own document. None of it
goes with a disclosure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from libs.docstore.store import Store
from libs.owner.classes import Due, Owned, StoredClass, json_item
from libs.owner.model import HeldClass, Item, Subject, Wanted
from services.accounts.domain.concerns import Concerns
from services.accounts.domain.model import Account
from services.accounts.domain.ports import AccountsPort
from services.accounts.domain.rights import OwnersRights
from services.accounts.domain.rights_ports import Concern, ConsentTo, KeptRights
from services.accounts.repository.concerns import CONCERNS
from services.accounts.repository.notices import ANNOUNCEMENTS, NOTICE_COUNTS
from services.accounts.repository.rights import CONSENTS, CONTACTS

_MOST_CONCERNS = 1000


@dataclass(frozen=True)
class RightsParts:
    """What the classes need to open what is sealed."""

    accounts: AccountsPort
    kept: KeptRights
    owners: OwnersRights
    concerns: Concerns


def rights_classes(store: Store, parts: RightsParts) -> list[HeldClass]:
    """Return the classes; an erasure may go through them in any order, the account's own document comes later."""
    return [
        ConsentClass(store, parts),
        ContactClass(store, parts),
        ConcernClass(store, parts),
        StoredClass("notice", store, [ANNOUNCEMENTS, NOTICE_COUNTS]),
    ]


def _by_account() -> Owned:
    return Owned("account", lambda subject: subject.account_id)


class ConsentClass(StoredClass):
    """Consents, and how the account stands to versions of the policy."""

    def __init__(self, store: Store, parts: RightsParts) -> None:
        """Answer for what is kept in `store`."""
        super().__init__("consent", store, [CONSENTS], owned={CONSENTS.name: _by_account()})
        self._parts = parts

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = await _account(self._parts, subject, wanted)
        if account is None:
            return
        consents = await self._parts.kept.consents.get(account.account_id)
        standing = account.standing
        yield json_item(
            "consents.json",
            {
                "consents": {to.value: {"given": consents.to(to).given, "at": consents.to(to).at} for to in ConsentTo},
                "notice": {
                    "version": standing.noticed,
                    "noticed_at": standing.noticed_at,
                    "answer": standing.answer.value,
                    "effective": standing.effective,
                    "old_terms_until": standing.old_until,
                },
                "refused_before": {"kept_version": standing.held, "until": standing.held_until},
            },
        )


class ContactClass(StoredClass):
    """Contact addresses."""

    def __init__(self, store: Store, parts: RightsParts) -> None:
        """Answer for what is kept in `store`."""
        super().__init__("contact", store, [CONTACTS], owned={CONTACTS.name: _by_account()})
        self._parts = parts

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = await _account(self._parts, subject, wanted)
        contact = await self._parts.owners.contact(account) if account else ""
        if contact:
            yield json_item("contact.json", {"address": contact})


class ConcernClass(StoredClass):
    """Concerns; closed ones go when they are due."""

    def __init__(self, store: Store, parts: RightsParts) -> None:
        """Answer for what is kept in `store`."""
        super().__init__(
            "concern", store, [CONCERNS], due={CONCERNS.name: Due("due")}, owned={CONCERNS.name: _by_account()}
        )
        self._parts = parts

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = await _account(self._parts, subject, wanted)
        if account is None:
            return
        found = await self._parts.kept.concerns.of_account(account.account_id, _MOST_CONCERNS)
        for number, concern in enumerate(sorted(found, key=lambda one: one.opened_at), 1):
            if wanted.since <= concern.opened_at and (not wanted.until or concern.opened_at <= wanted.until):
                yield json_item(f"concern-{number:03d}.json", _concern(account, concern, self._parts))


def _concern(account: Account, concern: Concern, parts: RightsParts) -> dict[str, object]:
    entries = parts.concerns.entries(account, concern)
    return {
        "concern_id": concern.concern_id,
        "about": concern.about.value,
        "state": concern.state.value,
        "opened_at": concern.opened_at,
        "changed_at": concern.changed_at,
        "entries": [{"by_staff": one.by_staff, "at": one.at, "text": one.text} for one in entries],
    }


async def _account(parts: RightsParts, subject: Subject, wanted: Wanted) -> Account | None:
    """Return whose it is; None where nothing is to be given."""
    return None if wanted.disclosure else await parts.accounts.get(subject.account_id)
