"""Mails that probes send, and how they wait for them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from services.retention.probes.world import Person, UnknowableError, World, mark

_TRIES = 40
_PAUSE = 0.25


def letter(sender: str, recipient: str, text: str, *, html: str = "") -> bytes:
    """Return a mail that says `text`, in its subject too."""
    kind, body = ("text/html", f"<p>{text}</p>{html}") if html else ("text/plain", text)
    lines = (
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Subject: {text}",
        f"Message-ID: <{text}@elsewhere.example>",
        "Date: Mon, 23 Nov 2026 00:00:00 +0000",
        "MIME-Version: 1.0",
        f"Content-Type: {kind}; charset=utf-8",
        "",
        body,
        "",
    )
    return "\r\n".join(lines).encode()


async def public_inbox(world: World) -> str:
    """Return the address of a public inbox that nobody has used. Raises: UnknowableError("no_domain")."""
    domains = (await world.web.ask("GET", "/v1/info")).json().get("public_domains", [])
    if not domains:
        raise UnknowableError("no_domain")
    return f"{mark()}@{domains[0]}"


async def wait_for_public(world: World, address: str, least: int) -> list[dict[str, Any]]:
    """Return what a public inbox lists once it is `least` mails. Raises: UnknowableError("mail_late")."""
    for _ in range(_TRIES):
        answer = await world.web.ask("GET", f"/v1/public/{quote(address)}/messages")
        if answer.status == 200:
            messages: list[dict[str, Any]] = answer.json()["messages"]
            if len(messages) >= least:
                return messages
        await asyncio.sleep(_PAUSE)
    raise UnknowableError("mail_late")


async def newest_mail(world: World, person: Person, before: frozenset[str]) -> dict[str, Any]:
    """Return the mail of `person` that is not among those `before`. Raises: UnknowableError("mail_late")."""
    for _ in range(_TRIES):
        for message in await listed(world, person):
            if message["id"] not in before:
                return message
        await asyncio.sleep(_PAUSE)
    raise UnknowableError("mail_late")


async def listed(world: World, person: Person) -> list[dict[str, Any]]:
    """Return the newest mails of `person`. Raises: UnknowableError("mailbox")."""
    answer = await world.web.ask("GET", "/v1/messages?limit=50", token=person.token)
    if answer.status != 200:
        raise UnknowableError("mailbox")
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def forget(world: World, person: Person, *ids: str) -> None:
    """Delete mails of `person`: probes leave nothing behind that grows."""
    await world.web.ask("POST", "/v1/messages/delete", form={"ids": list(ids)}, token=person.token)
