"""Probes that send mail through the doors and look for it where it must not be."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from libs.owner.model import Subject
from protos.accounts.v1 import accounts_pb2
from services.retention.domain.ports import ExportWanted
from services.retention.probes.mails import forget, letter, listed, newest_mail, public_inbox, wait_for_public
from services.retention.probes.people import private_key
from services.retention.probes.world import Broken, Person, UnknowableError, World, encodings, mark

_SETTLING = 60
# Tags of packets in the new form: a session key for a public key, and one for a password.
_SESSION_KEYS = (0xC1, 0xC3)


async def logs_without_people(world: World) -> None:
    """E2: what a request says of whoever sends it is in no file."""
    word = mark()
    headers = {"User-Agent": f"Mozilla/5.0 ({word})", "Referer": f"https://{word}.example/", "Accept-Language": word}
    for path in (f"/{word}", f"/v1/public/{word}", f"/privacy?{word}"):
        await world.web.ask("GET", path, headers=headers)
    await world.web.ask("POST", "/v1/kdf", form={"address": f"{word}@elsewhere.example"}, headers=headers)
    if await world.traces(word):
        raise Broken("request_kept")


async def sealed_at_rest(world: World) -> None:
    """E5: nothing of a mail stands open in any file."""
    person = await world.people.of("sealed")
    _, word = await _received(world, person)
    if await world.traces(word):
        raise Broken("mail_in_clear")
    if not await world.searched():
        raise UnknowableError("files_out_of_reach")


async def sealed_from_staff(world: World) -> None:
    """S1: what storage hands out of a member's mail is sealed to his key, which opens it and which is not here."""
    person = await world.people.of("sealed")
    message, word = await _received(world, person, keep=True)
    try:
        wanted = ExportWanted(("member_mail",), world.now - 86_400, world.now + 86_400, True)
        held = b""
        subject = Subject(person.account_id, await _mailbox(world, person))
        async for part in world.owners["storage"].export(subject, wanted):
            held += part.data
        if not held:
            raise UnknowableError("nothing_exported")
        if any(needle in held for needle in encodings(word)):
            raise Broken("mail_in_clear")
        body = await world.web.ask("GET", f"/v1/messages/{message}/body", token=person.token)
        if body.status != 200:
            raise UnknowableError("body")
        if word.encode() not in private_key(person).open(body.body):
            raise Broken("not_readable_by_its_owner")
        if sealed_to(body.body) != 1:
            raise Broken("another_key_opens_it")
    finally:
        await forget(world, person, message)


async def public_mail_goes(world: World) -> None:
    """P4: an inbox keeps its newest, and says when each of them goes."""
    newest, life = world.numbers.rule("public_mail_newest"), world.numbers.rule("public_mail_seconds")
    address = await public_inbox(world)
    for number in range(newest + 1):
        content = letter("probe@elsewhere.example", address, f"{mark()}{number}")
        if await world.smtp.send("probe@elsewhere.example", [address], content) != 250:
            raise UnknowableError("smtp_refused")
    messages = await _settled(world, address, newest)
    if len(messages) > newest:
        raise Broken("more_than_newest")
    if any(_moment(one["expires"]) > world.now + life + 120 for one in messages if one["expires"]):
        raise Broken("kept_longer")
    if not all(one["expires"] for one in messages):
        raise Broken("kept_for_ever")


async def _settled(world: World, address: str, newest: int) -> list[dict[str, Any]]:
    """Return what the inbox lists; older mails go within seconds, so some are waited."""
    messages: list[dict[str, Any]] = []
    for _ in range(_SETTLING):
        messages = await wait_for_public(world, address, 1)
        if len(messages) <= newest:
            break
        await asyncio.sleep(0.25)
    return messages


def sealed_to(message: bytes) -> int:
    """Return how many keys open a binary OpenPGP message: the session key packets that it begins with (RFC 9580 5.1).

    Keys and passwords count alike. A packet with another form of length than these small ones have ends the count, and
    so does one of the old form, which no library makes of them any more: 0 then, as for what is no message.
    """
    keys, at = 0, 0
    while at + 1 < len(message) and message[at] in _SESSION_KEYS and message[at + 1] < 192:
        at += 2 + message[at + 1]
        keys += 1
    return keys


async def data_kept_apart(world: World) -> None:
    """R1: recipients of a sender are in no file of another service, and in none in clear."""
    if await world.traces(await _relayed(world)):
        raise Broken("recipient_in_clear")


async def opens_are_sums(world: World) -> None:
    """R2: looking at what is counted leaves nothing of whoever looked."""
    word = mark()
    # As long as a token is.
    for path in (f"/o/{word * 4}", f"/m/{word * 4}"):
        await world.web.ask("GET", path, headers={"User-Agent": word})
    if await world.traces(word):
        raise Broken("open_kept")
    recipient = await _relayed(world)
    if await world.traces(recipient):
        raise Broken("recipient_kept")


async def _relayed(world: World) -> str:
    """Send a mail as a relay account, and wait until it has arrived; return the recipient's name."""
    person = await world.people.of("relay")
    info = (await world.web.ask("GET", "/v1/info")).json()
    if not info["public_domains"]:
        raise UnknowableError("no_domain")
    word = mark()
    recipient = f"{word}@{info['public_domains'][0]}"
    form = {"from": person.address, "to": [recipient], "subject": "Probe", "text": "Probe"}
    sent = await world.web.ask("POST", "/v1/send", form=form, token=person.token)
    if sent.status != 202:
        raise UnknowableError("not_sent")
    # What is kept of a mail that has gone out is written when it is through.
    await wait_for_public(world, recipient, 1)
    return word


async def _received(world: World, person: Person, *, keep: bool = False) -> tuple[str, str]:
    """Have a mail come in for `person`; return its id and the word that it says. Without `keep` it is deleted again."""
    before = frozenset(one["id"] for one in await listed(world, person))
    word = mark()
    sender = f"{word}@elsewhere.example"
    if await world.smtp.send(sender, [person.address], letter(sender, person.address, word)) != 250:
        raise UnknowableError("smtp_refused")
    message = await newest_mail(world, person, before)
    if not keep:
        await forget(world, person, message["id"])
    return message["id"], word


async def _mailbox(world: World, person: Person) -> str:
    """Return the mailbox of an account of ours, which accounts alone knows."""
    wanted = accounts_pb2.FindAccountRequest(address=person.address)
    return (await world.accounts.FindAccount(wanted, timeout=world.timeout)).mailbox_id


def _moment(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
