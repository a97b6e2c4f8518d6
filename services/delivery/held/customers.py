"""What is kept about customers besides their mail: each class in a few lines, most of them a table of collections."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.docstore.fields import delete_quietly, number, text
from libs.docstore.store import Document
from libs.owner.model import Erased, Subject, Wanted
from services.delivery.customers.campaigns import STOPPED
from services.delivery.customers.events import EVENTS, Events
from services.delivery.customers.graph import Customers
from services.delivery.customers.limits import SENT, SendingLimits
from services.delivery.customers.reservations import RESERVED
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.customers.suppressions import SUPPRESSIONS
from services.delivery.customers.webhook_records import POSTS, WEBHOOKS, WebhookRecords
from services.delivery.domain.limits import DAY
from services.delivery.erased import Whose
from services.delivery.forwards.counts import COUNTS
from services.delivery.held.domains import DomainKeys, HeldDomains
from services.delivery.held.kept import FOR_EVER, Keeping, KeptClass, Row, Rows, Tell
from services.delivery.measuring.campaigns import MEASURED, UNCOUNTED
from services.delivery.platform.sending import PLATFORM
from services.delivery.policies import POLICIES
from services.delivery.queue.collections import IDEMPOTENCY


def held_customers(keeping: Keeping, customers: Customers, keys: DomainKeys) -> list[KeptClass]:
    """Return the classes of the customers' side, of forwarding, and of what belongs to nobody."""
    return [
        KeptClass("idempotency", keeping, [Rows(IDEMPOTENCY, "expires", tell=_key)]),
        KeptClass("sending_event", keeping, [Rows(EVENTS, "expires", tell=_event_row(customers.events), at="at")]),
        KeptClass("suppression", keeping, [Rows(SUPPRESSIONS, tell=_suppression)]),
        HeldDomains(keeping, keys),
        HeldWebhooks(keeping, customers.hooks),
        KeptClass(
            "campaign",
            keeping,
            [Rows(STOPPED, "expires", tell=_stopped, at="stopped"), Rows(MEASURED, "expires", tell=_measured)],
        ),
        HeldCounts(keeping, customers.limits),
        HeldStanding(keeping, customers.standings),
        KeptClass("forward_count", keeping, [Rows(COUNTS, "expires", tell=_forwards)]),
        KeptClass("platform_mail", keeping, [Rows(PLATFORM, "expires", tell=_letter, at="at")]),
        KeptClass("counting_refusal", keeping, [Rows(UNCOUNTED, owned="")]),
        KeptClass("mta_sts_policy", keeping, [Rows(POLICIES, "expires", owned="", unit=DAY)]),
    ]


class HeldWebhooks(KeptClass):
    """Implements libs.owner.model.HeldClass: webhook, and the posts that wait for it."""

    def __init__(self, keeping: Keeping, hooks: WebhookRecords) -> None:
        """Take where they are, and what opens them."""
        rows = [Rows(WEBHOOKS, tell=self._told_of, at="created"), Rows(POSTS, "expires", owned="")]
        super().__init__("webhook", keeping, rows)
        self._hooks = hooks

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """See KeptClass: a webhook's posts, and then the webhook."""
        deleted = 0
        for hook in await self._hooks.ids(whose.mark):
            while deleted < limit and (count := await self._hooks.drop(hook)):
                deleted += count
            if deleted >= limit:
                return Erased(deleted, more=True)
            await self._hooks.delete(hook)
            deleted += 1
        # Those that another process queued while it still knew of a webhook.
        if deleted < limit:
            deleted += await self._store.delete_range(POSTS, "account", (whose.mark,), FOR_EVER, limit - deleted)
        return Erased(deleted, more=deleted >= limit)

    def _told_of(self, document: Document) -> Row:
        hook = self._hooks.decode(document)
        # Never its secret: whoever has the export could sign as we do.
        return {
            "webhook_id": hook.webhook_id,
            "url": hook.url,
            "types": list(hook.types),
            "state": hook.state.value,
            "created_at": hook.created,
        }


class HeldCounts(KeptClass):
    """Implements libs.owner.model.HeldClass: sending_count."""

    def __init__(self, keeping: Keeping, limits: SendingLimits) -> None:
        """Take where counts are, and who has some of them in memory."""
        super().__init__("sending_count", keeping, [Rows(SENT, "expires", tell=_sent), Rows(RESERVED, "expires")])
        self._limits = limits

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        self._limits.forget(subject.account_id)
        return await super().erase(subject, limit)


class HeldStanding(KeptClass):
    """Implements libs.owner.model.HeldClass: sending_standing, one document for each account."""

    def __init__(self, keeping: Keeping, standings: Standings) -> None:
        """Take where they are, and who has some of them in memory."""
        super().__init__("sending_standing", keeping, [Rows(STANDING, owned="")])
        self._standings = standings

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        self._standings.forget(subject.account_id)
        return await super().erase(subject, limit)

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """See KeptClass."""
        if await self._store.get(STANDING, whose.mark) is None:
            return Erased()
        await delete_quietly(self._store, STANDING, [whose.mark])
        return Erased(1)

    async def _told(self, whose: Whose, wanted: Wanted) -> AsyncIterator[Row]:
        document = await self._store.get(STANDING, whose.mark)
        if document is not None:
            standing = self._standings.decode(document)
            yield {"paused": standing.paused, "judged": [one._asdict() for one in standing.ring]}


def _event_row(events: Events) -> Tell:
    def tell(document: Document) -> Row:
        event = events.decode(document)
        return {
            "event_id": event.event_id,
            "type": event.kind.value,
            "at": event.at,
            "submission_id": event.submission_id,
            "campaign": event.campaign,
            "recipient": event.recipient,
            "status": event.status,
        }

    return tell


def _key(document: Document) -> Row:
    return {"submission_id": text(document.body, "mail"), "until": number(document.body, "expires")}


def _suppression(document: Document) -> Row:
    # Which address it is the list itself cannot tell.
    suppression_id = document.key.partition("/")[2]
    body = document.body
    return {"suppression_id": suppression_id, "reason": text(body, "reason"), "created_day": number(body, "day")}


def _stopped(document: Document) -> Row:
    return {"stopped_at": number(document.body, "stopped")}


def _measured(document: Document) -> Row:
    body = document.body
    return {"number": number(body, "number"), "opens": number(body, "opens"), "clicks": number(body, "clicks")}


def _sent(document: Document) -> Row:
    return {"day": int(document.key.partition("/")[0]), "recipients": number(document.body, "recipients", 0)}


def _letter(document: Document) -> Row:
    return {"at": number(document.body, "at")}


def _forwards(document: Document) -> Row:
    kind, day, _ = document.key.split("/")
    return {"kind": kind, "day": int(day), "count": number(document.body, "count", 0)}
