"""Never an open relay: every port, with and without TLS, signed in or not, every kind of sender and recipient.

Each combination is tried stubbornly, as an abuser does: what was refused does not keep him from going on to DATA.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product

import pytest

from tests.support.ingest import Dialogue, Listening, Server, serve_edge, serve_submission
from tests.support.ingest_fakes import RETURN_PATH
from tests.support.rpc import certificates
from tests.unit.ingest.proofs import plain

# Whose they are, seen from ada, who signs in where that is part of the combination.
SENDERS = {
    "own": "ada@sealpost.test",
    "own alias": "lovelace@sealpost.test",
    "somebody else's, here": "bob@sealpost.test",
    "elsewhere": "x@example.com",
    "null": "",
}
RECIPIENTS = {
    "here": "bob@sealpost.test",
    "unknown here": "nobody@sealpost.test",
    "elsewhere": "y@example.net",
    "return path": RETURN_PATH,
    "forged return path": "b-aaaaaaaaaaaaaaaa@bounces.sealpost.test",
    "source route": "@sealpost.test:y@example.net",
    "percent hack": "y%example.net@sealpost.test",
    "bang path": "example.net!y@sealpost.test",
    "quoted": '"y@example.net"@sealpost.test',
}
# What reaches a mailbox or delivery at the MX, whoever sends it.
AT_THE_MX = {"here", "return path"}
COMBINATIONS = [
    (port, tls, auth)
    for port, tls, auth in product(("mx", "submission", "submissions"), (False, True), ("none", "wrong", "right"))
    if tls or port != "submissions"
]


@asynccontextmanager
async def serving(port: str) -> AsyncIterator[Listening]:
    if port == "mx":
        async with serve_edge(tls=certificates("smtp"), bounce_domain="bounces.sealpost.test") as mx:
            yield mx
    else:
        async with serve_submission(implicit=port == "submissions") as counter:
            yield counter


async def begun(server: Listening, port: str, tls: bool, auth: str) -> Dialogue:
    """Return a connection in the state of the combination, after EHLO."""
    dialogue = await server.connect(tls=port == "submissions")
    await dialogue.run("S: 220\nC: EHLO client.example\nS: 250")
    if tls and port != "submissions":
        await dialogue.run("TLS\nC: EHLO client.example\nS: 250")
    if auth != "none":
        await dialogue.send(f"AUTH PLAIN {plain(password='wrong') if auth == 'wrong' else plain()}\r\n".encode())
        reply = await dialogue.reply()
        succeeded = reply.startswith("235")
        assert succeeded == (auth == "right" and tls and port != "mx"), reply
    return dialogue


async def tried(dialogue: Dialogue, sender: str, recipient: str) -> bool:
    """Try to send whatever the replies are; return whether the mail was accepted."""
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
        await dialogue.send(command.encode() + b"\r\n")
        reply = await dialogue.reply()
    if not reply.startswith("354"):
        return False
    await dialogue.send(b"From: ada@sealpost.test\r\nSubject: x\r\n\r\nx\r\n.\r\n")
    return (await dialogue.reply()).startswith("250 2.0.0 Accepted")


@pytest.mark.parametrize(("port", "tls", "auth"), COMBINATIONS)
async def test_no_combination_relays_for_strangers(port: str, tls: bool, auth: str) -> None:
    async with serving(port) as server:
        signed_in = port != "mx" and tls and auth == "right"
        for (whose, sender), (where, recipient) in product(SENDERS.items(), RECIPIENTS.items()):
            accepted = await tried(await begun(server, port, tls, auth), sender, recipient)
            allowed = where in AT_THE_MX if port == "mx" else signed_in and whose in ("own", "own alias", "null")
            assert accepted == allowed, (whose, where)
        # Of a mail from <> delivery looks at the From field (tests/unit/delivery/test_submission.py), as of all others.
        submitted = {(one.submitter.account_id, one.sender) for one in server.delivery.submissions}
        theirs = {SENDERS[whose] for whose in ("own", "own alias", "null")}
        assert submitted == ({("account-ada", one) for one in theirs} if signed_in else set())
        if isinstance(server, Server):
            assert {copy.route.mailbox_id for copy in server.storage.copies} == {"mailbox-bob"}
            assert {address for address, _ in server.delivery.reports} == {RETURN_PATH}
        else:
            assert server.delivery.reports == []
