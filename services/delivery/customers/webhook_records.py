"""What is kept of webhooks.

    webhook   key = its id; where to and with which secret is sealed. `wake` says when there may be something to post:
              it stands in the index only then, so that idle webhooks cost nothing.
    post      key = event / webhook; one event that one webhook has still to be told. Found by webhook and due time, so
              that a long queue of one webhook is not in the way of another's.

Between who queues posts and who sends them no wake-up is lost: the one writes posts and then looks at `wake`, the other
writes `wake` and then looks for posts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.docstore.fields import blob, delete_quietly, number, text, texts
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Operation, Patch, Query, Store, Value
from libs.envelope import Vault, place_of
from libs.policy import Terms
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from libs.runtime.secret import Secret
from services.delivery.customers.fields import insert_new
from services.delivery.domain.webhooks import MOST_PER_ACCOUNT, HookState

WEBHOOKS = Collection(
    "webhook",
    (Index("account", ("account", "created")), Index("wake", ("wake",))),
    fields=("account", "sealed", "types", "created", "state", "failing_since", "wake"),
)
POSTS = Collection(
    "post",
    (Index("due", ("webhook", "due")), Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("webhook", "event", "due", "attempts", "queued", "expires", "account"),
)

_FOR_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook. `account` is the mark of its account; times are Unix seconds, 0 for none."""

    webhook_id: str
    account: str
    url: str
    secret: Secret[bytes]
    types: tuple[str, ...]
    created: int
    state: HookState = HookState.OK
    failing_since: int = 0
    wake: int = 0
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A post that is due. `queued` is when it was queued."""

    key: str
    event_id: str
    attempts: int
    queued: int
    version: int


class WebhookRecords:
    """Webhooks and posts on a store."""

    def __init__(self, store: Store, vault: Vault, terms: Terms) -> None:
        """Use `store`, opened with WEBHOOKS and POSTS; a post that nobody takes is kept for as long as `terms` say."""
        self._store = store
        self._vault = vault
        self._terms = terms

    async def get(self, webhook_id: str) -> Hook | None:
        """Return a webhook, whoever's it is."""
        found = await self._store.get(WEBHOOKS, webhook_id)
        return self.decode(found) if found is not None else None

    async def of_account(self, account: str) -> list[Hook]:
        """Return the webhooks of an account, by its mark, in the order in which they were made."""
        found = await self._store.find(Query(WEBHOOKS, "account", (account,), limit=MOST_PER_ACCOUNT * 2))
        return [self.decode(document) for document in found]

    async def ids(self, account: str) -> list[str]:
        """Return the ids of the webhooks of an account, by its mark, whether they can be read or not."""
        query = Query(WEBHOOKS, "account", (account,), limit=MOST_PER_ACCOUNT * 2)
        return [document.key for document in await self._store.find(query)]

    async def insert(self, hook: Hook) -> None:
        """Keep a new one."""
        content = {"url": hook.url, "secret": base64.b64encode(hook.secret.reveal()).decode()}
        body: Body = {
            "account": hook.account,
            "sealed": self._sealed(hook.webhook_id, content),
            "types": list[Value](hook.types),
            "created": hook.created,
            "state": hook.state.value,
            "failing_since": hook.failing_since,
            "wake": hook.wake or None,
        }
        await self._store.write(Insert(WEBHOOKS, hook.webhook_id, body))

    async def change(self, hook: Hook, url: str, types: Sequence[str]) -> None:
        """Have a webhook elsewhere, or for other kinds of events; it is switched on. Raises: NotFoundError."""
        content = {"url": url, "secret": base64.b64encode(hook.secret.reveal()).decode()}
        fields: Body = {
            "sealed": self._sealed(hook.webhook_id, content),
            "types": list[Value](types),
            "state": HookState.OK.value,
            "failing_since": 0,
        }
        await self._store.write(Patch(WEBHOOKS, hook.webhook_id, fields))

    async def turn(self, webhook_id: str, state: HookState, failing_since: int = 0) -> None:
        """Note how a webhook stands; absent is fine."""
        await self._patch(webhook_id, {"state": state.value, "failing_since": failing_since})

    async def wake(self, webhook_id: str, wake: int) -> None:
        """Say when there may be something to post, 0 for nothing; absent is fine."""
        await self._patch(webhook_id, {"wake": wake or None})

    async def delete(self, webhook_id: str) -> None:
        """Remove a webhook; absent is fine."""
        await delete_quietly(self._store, WEBHOOKS, [webhook_id])

    async def awake(self, now: int, limit: int) -> list[str]:
        """Return the ids of at most `limit` webhooks that may have something to post, longest waiting first."""
        found = await self._store.find(Query(WEBHOOKS, "wake", (), upper=now, limit=limit))
        return [document.key for document in found]

    async def wakes(self, webhook_ids: Sequence[str]) -> dict[str, tuple[HookState, int]]:
        """Return how webhooks stand, and when they wake, by id."""
        found = await self._store.get_many(WEBHOOKS, webhook_ids)
        return {key: (_state(one.body), number(one.body, "wake", 0)) for key, one in found.items()}

    def post(self, event_id: str, webhook_id: str, account: str, now: int, terms: int = 0) -> Insert:
        """Return the write that queues an event for a webhook; ConflictError("exists") where it is queued.

        `account` is the mark of whose it is, `terms` the version of the policy by which the post is kept.
        """
        body: Body = {
            "account": account,
            "webhook": webhook_id,
            "event": event_id,
            "due": now,
            "attempts": 0,
            "queued": now,
            "expires": now + self._terms.rule("webhook_post_seconds", terms),
        }
        return Insert(POSTS, f"{event_id}/{webhook_id}", body)

    async def queue(self, posts: Sequence[Insert]) -> None:
        """Queue posts; those that are queued stay as they are."""
        await insert_new(self._store, posts)

    async def due(self, webhook_id: str, now: int, limit: int) -> list[Waiting]:
        """Return at most `limit` posts that are due, the most overdue first."""
        found = await self._store.find(Query(POSTS, "due", (webhook_id,), upper=now, limit=limit))
        return [_waiting(document) for document in found]

    async def next_due(self, webhook_id: str) -> int:
        """Return when the next post is due, 0 if there is none."""
        found = await self._store.find(Query(POSTS, "due", (webhook_id,), limit=1))
        return number(found[0].body, "due") if found else 0

    async def claim(self, posts: Sequence[Waiting], until: int) -> list[Waiting]:
        """Take posts until a time; return those that nobody else has taken, with their new versions."""
        operations: list[Operation] = [Patch(POSTS, post.key, {"due": until}, post.version) for post in posts]
        mine = []
        for post, written in zip(posts, await self._store.write_many(operations), strict=True):
            if isinstance(written, (ConflictError, NotFoundError)):
                continue
            if isinstance(written, Exception):
                raise written
            mine.append(Waiting(post.key, post.event_id, post.attempts, post.queued, written.version))
        return mine

    async def settle(self, post: Waiting, due: int | None, attempts: int) -> None:
        """Put a claimed post back until `due`, or remove it; one that somebody else has by now is left alone."""
        fields = {"due": due, "attempts": attempts}
        operation = (
            Delete(POSTS, post.key, post.version) if due is None else Patch(POSTS, post.key, fields, post.version)
        )
        try:
            await self._store.write(operation)
        except (ConflictError, NotFoundError):
            return

    async def drop(self, webhook_id: str) -> int:
        """Remove at most 1,000 posts of a webhook; return how many."""
        return await self._store.delete_range(POSTS, "due", (webhook_id,), _FOR_EVER, 1000)

    async def _patch(self, webhook_id: str, fields: Body) -> None:
        try:
            await self._store.write(Patch(WEBHOOKS, webhook_id, fields))
        except NotFoundError:
            return

    def _sealed(self, webhook_id: str, content: dict[str, str]) -> bytes:
        return self._vault.seal(place_of(WEBHOOKS.name, webhook_id, "sealed"), json.dumps(content).encode())

    def decode(self, document: Document) -> Hook:
        """Return what a document holds. Raises: InternalError, UnavailableError("kek_missing")."""
        body = document.body
        place = place_of(WEBHOOKS.name, document.key, "sealed")
        content = json.loads(self._vault.open(place, blob(body, "sealed")))
        return Hook(
            document.key,
            text(body, "account"),
            content["url"],
            Secret(base64.b64decode(content["secret"])),
            texts(body, "types"),
            number(body, "created"),
            _state(body),
            number(body, "failing_since"),
            number(body, "wake", 0),
            document.version,
        )


def _state(body: Body) -> HookState:
    try:
        return HookState(text(body, "state"))
    except ValueError as error:
        raise InternalError("document_damaged") from error


def _waiting(document: Document) -> Waiting:
    body = document.body
    return Waiting(
        document.key, text(body, "event"), number(body, "attempts"), number(body, "queued"), document.version
    )
