"""Sender domains: the claims of accounts, who holds a domain, and its DKIM keys at crypto.

The keys of a domain are everybody's who claims it, and go with the last claim. So erasing destroys them first where
nobody else has one, and looks again when the claim is gone: of two who leave at the same moment the second takes them
along.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from libs.docstore.fields import delete_quietly, text
from libs.docstore.store import Delete, Document, Query
from libs.owner.model import Erased, Item, Subject, Wanted
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from libs.telemetry.logs import get_logger
from services.delivery.customers.domain_records import OWNERS, SENDER_DOMAINS, Claim, DomainRecords
from services.delivery.customers.ports import DkimKeys
from services.delivery.erased import Whose
from services.delivery.held.kept import Keeping, KeptClass, Row, Rows, documents, one_item, within

_PAGE = 50

_log = get_logger("held")


@dataclass(frozen=True)
class DomainKeys:
    """What opens claims, and who has the keys."""

    records: DomainRecords
    dkim: DkimKeys


class HeldDomains(KeptClass):
    """Implements libs.owner.model.HeldClass: sender_domain."""

    def __init__(self, keeping: Keeping, keys: DomainKeys) -> None:
        """Take where claims are, and whose keys they name."""
        super().__init__("sender_domain", keeping, (Rows(SENDER_DOMAINS), Rows(OWNERS, owned="")))
        self._records = keys.records
        self._dkim = keys.dkim

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        if not wanted.disclosure:
            whose = self._erased.whose(subject.account_id)
            async for item in one_item(f"{self.name}.json", self._claims_told(whose, wanted)):
                yield item

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass."""
        whose, destroyed = self._erased.whose(subject.account_id), 0
        async for document in documents(self._store, _of(whose)):
            claim = self._claim(document)
            if claim is not None and not await self._records.is_wanted(claim.domain, besides=whose.mark):
                await self._dkim.delete(claim.domain)
                destroyed += len(claim.dkim)
        return destroyed

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """See KeptClass."""
        found = await self._store.find(_of(whose, min(limit, _PAGE)))
        for document in found:
            await self._erase(whose, document)
        return Erased(len(found), more=len(found) == min(limit, _PAGE))

    async def _erase(self, whose: Whose, document: Document) -> None:
        owner = await self._store.get(OWNERS, text(document.body, "domain"))
        if owner is not None and owner.body.get("account") == whose.mark:
            try:
                await self._store.write(Delete(OWNERS, owner.key, owner.version))
            except (ConflictError, NotFoundError):
                # It is somebody else's by now.
                _log.info("domain_taken")
        claim = self._claim(document)
        await delete_quietly(self._store, SENDER_DOMAINS, [document.key])
        if claim is not None and not await self._records.is_wanted(claim.domain):
            await self._dkim.delete(claim.domain)

    async def _claims_told(self, whose: Whose, wanted: Wanted) -> AsyncIterator[Row]:
        async for document in documents(self._store, _of(whose)):
            claim = self._claim(document) if within(document, "added", wanted) else None
            if claim is not None:
                yield _row(claim)

    def _claim(self, document: Document) -> Claim | None:
        try:
            return self._records.decode(document)
        except InternalError as error:
            # Which domain it was nobody can tell; what stands of it goes all the same.
            _log.error("claim_damaged", error=error)
            return None


def _of(whose: Whose, limit: int = _PAGE) -> Query:
    return Query(SENDER_DOMAINS, "account", (whose.mark,), limit=limit)


def _row(claim: Claim) -> Row:
    states: Sequence[str] = [state.value for state in claim.states]
    return {
        "domain": claim.domain,
        "verified": claim.verified,
        "added_at": claim.added,
        "checked_at": claim.checked_at,
        "records": list(states),
        "dkim": [{"selector": one.selector, "record": one.record} for one in claim.dkim],
    }
