"""Plants canaries: by mail and by the API, as anybody could.

Three rounds a day. A mail to a public inbox nobody uses; an account that gets mail, settings, a contact address, an API
key and a concern, and asks at once to be erased; a mail sent by a relay account. What finds a canary again are ids that
stand in clear where it is kept, since everything else is sealed and would be found nowhere to begin with.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from libs.runtime.clock import Clock
from services.retention.canaries.model import Trail
from services.retention.domain.ports import Numbers
from services.retention.probes.mails import letter, listed, newest_mail, public_inbox, wait_for_public
from services.retention.probes.people import sign_up
from services.retention.probes.world import Person, UnknowableError, World, mark

# What an account that is erased takes along, by the service that keeps it.
OF_ACCOUNT = (
    "account",
    "session",
    "credential",
    "consent",
    "contact",
    "concern",
    "certificate",
    "member_mail",
    "mailbox",
    "preferences",
    "contacts",
)
OF_RELAY = ("outgoing_mail", "outgoing_trail", "sending_event")


@dataclass(frozen=True)
class Planted:
    """A canary that was planted. `due`: Unix seconds at which it has to be gone."""

    data_class: str
    due: int
    trail: Trail


class Planter:
    """Plants at the doors."""

    def __init__(self, numbers: Numbers, clock: Clock) -> None:
        """Deadlines come from `numbers`."""
        self._numbers = numbers
        self._clock = clock

    @property
    def kinds(self) -> Mapping[str, tuple[str, ...]]:
        """Return which classes each round plants."""
        return {"public": ("public_mail",), "account": OF_ACCOUNT, "relay": OF_RELAY}

    async def plant(self, kind: str, world: World) -> list[Planted]:
        """Plant one round. Raises: UnknowableError, SealpostError where a door does not let it in."""
        rounds = {"public": self._public, "account": self._account, "relay": self._relay}
        return [one async for one in rounds[kind](world)]

    def _slack(self) -> int:
        """Return how long after its time an item may go: a sweep's interval and some to be through."""
        return 2 * self._numbers.rule("sweep_seconds") + 300

    async def _public(self, world: World) -> AsyncIterator[Planted]:
        address = await public_inbox(world)
        content = letter("canary@elsewhere.example", address, mark())
        if await world.smtp.send("canary@elsewhere.example", [address], content) != 250:
            raise UnknowableError("smtp_refused")
        (message, *_) = await wait_for_public(world, address, 1)
        path = f"/v1/public/{quote(address)}/messages/{message['id']}"
        due = world.now + self._numbers.rule("public_mail_seconds") + self._slack()
        yield Planted("public_mail", due, Trail((path,), "", (str(message["id"]),)))

    async def _account(self, world: World) -> AsyncIterator[Planted]:
        kept, token = await sign_up(world.web, "sealed", self._clock, "canary")
        person = Person(kept.address, kept.account_id, token, b"", b"", "", b"", "", b"")
        form = {"current_authentication_key": kept.authentication_key}
        try:
            message = await self._fill(world, person)
        finally:
            # What could only be planted in part goes as well.
            asked = await world.web.ask("POST", "/v1/account/erasure", form=form, token=token)
        if asked.status != 202:
            raise UnknowableError("erasure_refused")
        due = world.now + self._numbers.rule("erasure_grace_seconds") + self._slack() + 3600
        needles = {"member_mail": (message,), "account": (kept.account_id,), "certificate": (kept.account_id,)}
        paths = {"member_mail": (f"/v1/messages/{message}",), "account": ("/v1/session",)}
        for name in OF_ACCOUNT:
            yield Planted(name, due, Trail(paths.get(name, ()), token, needles.get(name, (kept.account_id,))))

    async def _fill(self, world: World, person: Person) -> str:
        """Give an account something of each kind; return the id of its mail."""
        before = frozenset(one["id"] for one in await listed(world, person))
        word = mark()
        sender = f"{word}@elsewhere.example"
        if await world.smtp.send(sender, [person.address], letter(sender, person.address, word)) != 250:
            raise UnknowableError("smtp_refused")
        sealed = base64.b64encode(b"\xc1" + word.encode()).decode()
        for method, path, form in (
            ("PUT", "/v1/objects/settings", {"sealed": sealed, "version": 0}),
            ("PUT", "/v1/objects/contacts", {"sealed": sealed, "version": 0}),
            ("PUT", "/v1/rights/contact", {"contact": sender}),
            ("PUT", "/v1/rights/consents", {"newsletter": False}),
            ("POST", "/v1/concerns", {"about": "other", "text": "A canary sings."}),
            ("POST", "/v1/credentials", {"kind": "api_key", "label": word, "scopes": ["mail:read"]}),
        ):
            answer = await world.web.ask(method, path, form=form, token=person.token)
            if answer.status not in (200, 201, 204):
                raise UnknowableError("not_planted")
        message: str = (await newest_mail(world, person, before))["id"]
        return message

    async def _relay(self, world: World) -> AsyncIterator[Planted]:
        person = await world.people.of("relay")
        inbox = await public_inbox(world)
        form = {"from": person.address, "to": [inbox], "subject": "Canary", "text": "A canary sings."}
        sent = await world.web.ask("POST", "/v1/send", form=form, token=person.token)
        if sent.status != 202:
            raise UnknowableError("not_sent")
        submission = str(sent.json()["id"])
        path = f"/v1/send/{submission}"
        for name in OF_RELAY:
            rule = "sending_event_seconds" if name == "sending_event" else "outgoing_trail_seconds"
            due = world.now + self._numbers.rule(rule) + self._slack() + 3600
            yield Planted(name, due, Trail((path,), "", (submission,)))
