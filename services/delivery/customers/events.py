"""What happened to recipients, kept for a month: told again, a happening is the same document.

Who it happened to, in which campaign, and with what status is sealed; in clear stand a mark of the account, the kind,
and when. What the relay has delivered is paid for, so it is announced with the document, in one commit and under its
id: it is never announced of what is not kept, and what is told again is counted once. Billing does not hurry, and the
way out does: nobody wakes who publishes, so one look at the store serves the deliveries of many seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.docstore import store as docstore
from libs.docstore.fields import blob, number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Store
from libs.envelope import Vault, place_of
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InternalError
from protos.events.v1.events_pb2 import MailDelivered
from services.delivery.customers.fields import cursor_after, find_all, page_size, read_cursor
from services.delivery.customers.marks import Marks
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Happening, Kind

EVENTS = Collection(
    "event",
    (Index("account", ("account", "at")), Index("expires", ("expires",))),
    fields=("account", "at", "kind", "submission", "sealed", "expires"),
)

DELIVERED_SUBJECT = "mail.delivered.v1"

_PAGE = 500
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Event:
    """An event as its account sees it; see sealpost.delivery.v1.Event."""

    event_id: str
    kind: Kind
    at: int
    submission_id: str
    campaign: str
    recipient: str
    status: str


class Events:
    """The events of all accounts."""

    def __init__(self, store: Store, marks: Marks, vault: Vault, clock: Clock, terms: Terms) -> None:
        """Keep them in `store`, for as long as `terms` say."""
        self._store = store
        self._marks = marks
        self._vault = vault
        self._clock = clock
        self._terms = terms

    def insert(self, happening: Happening) -> Insert:
        """Return the write that keeps a happening; ConflictError("exists") where it is kept already."""
        content = {"recipient": happening.recipient, "campaign": happening.campaign, "status": happening.status}
        key = happening.event_id
        body: Body = {
            "account": self._marks.account(happening.account_id),
            "at": happening.at,
            "kind": happening.kind.value,
            "submission": happening.submission_id,
            "sealed": self._vault.seal(place_of(EVENTS.name, key, "sealed"), json.dumps(content).encode()),
            "expires": happening.at + self._terms.rule("sending_event_seconds", happening.terms),
        }
        return Insert(EVENTS, key, body, _announced(happening))

    async def page(self, account_id: str, limit: int, cursor: str) -> tuple[list[Event], str]:
        """Return a page of the events, newest first, and the cursor of the next. Raises: InvalidError."""
        query = Query(
            EVENTS,
            "account",
            (self._marks.account(account_id),),
            after=read_cursor(cursor),
            descending=True,
            limit=page_size(limit),
        )
        found = await self._store.find(query)
        now = unix_seconds(self._clock)
        events = [self.decode(document) for document in found if _holds(document, now)]
        return events, cursor_after("at", found, query.limit)

    async def since(self, account_id: str, since: int, most: int) -> list[tuple[str, Kind]]:
        """Return the ids and kinds of at most `most` events from `since` (Unix seconds) on, oldest first."""
        now = unix_seconds(self._clock)
        query = Query(EVENTS, "account", (self._marks.account(account_id),), lower=since, limit=_PAGE)
        found = await find_all(self._store, query, most)
        return [(document.key, _kind(document)) for document in found if _holds(document, now)]

    async def delivered(self, account_id: str, day: int) -> int:
        """Return how many recipients got an account's mail on a day (since 1970-01-01, UTC), of what is still kept."""
        query = Query(
            EVENTS,
            "account",
            (self._marks.account(account_id),),
            lower=day * _DAY,
            upper=(day + 1) * _DAY - 1,
            limit=_PAGE,
        )
        found, after = 0, None
        while True:
            page = await self._store.find(replace(query, after=after))
            found += sum(_kind(document) is Kind.DELIVERED for document in page)
            if len(page) < _PAGE:
                return found
            after = (number(page[-1].body, "at"), page[-1].key)

    async def get_many(self, event_ids: Sequence[str]) -> dict[str, Event]:
        """Return those of at most 1,000 events that exist, by id."""
        found = await self._store.get_many(EVENTS, event_ids)
        return {key: self.decode(document) for key, document in found.items()}

    def decode(self, document: Document) -> Event:
        """Return what a document holds. Raises: InternalError, UnavailableError("kek_missing")."""
        body = document.body
        content = json.loads(self._vault.open(place_of(EVENTS.name, document.key, "sealed"), blob(body, "sealed")))
        return Event(
            document.key,
            _kind(document),
            number(body, "at"),
            text(body, "submission"),
            content["campaign"],
            content["recipient"],
            content["status"],
        )


def _announced(happening: Happening) -> tuple[docstore.Event, ...]:
    if happening.kind is not Kind.DELIVERED or happening.profile is not Profile.RELAY:
        return ()
    delivered = MailDelivered(account_id=happening.account_id, day=happening.at // _DAY)
    return (docstore.Event(happening.event_id, DELIVERED_SUBJECT, delivered.SerializeToString()),)


def _holds(document: Document, now: int) -> bool:
    """Tell whether an event may still be told; one that has expired is not, whether it is swept yet or not."""
    return number(document.body, "expires") > now


def _kind(document: Document) -> Kind:
    try:
        return Kind(text(document.body, "kind"))
    except ValueError as error:
        raise InternalError("document_damaged") from error
