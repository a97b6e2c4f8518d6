"""The mails of the outward ledger test: who sends them, and to which domains of the rest of the world.

Senders are accounts of the platform, most of them of businesses, for a new member may send little; their names and
those of all recipients are canaries too. Each domain has a fault of its own, see outward_world.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from libs.local.settings import RELAY_DOMAIN
from tests.support.ledger_client import Assignment
from tests.support.ledger_mail import Run, Transaction

STEADY, FORGETFUL, SLEEPY, REFUSING = "steady.test", "forgetful.test", "sleepy.test", "refusing.test"
# Each session has one account; those of members are the last ones, and end after few mails.
SESSIONS, RELAYS, MEMBERS = 12, 3, 1
_MEMBER_MAILS = 10


@dataclass(frozen=True)
class OutwardRun(Run):
    """One run; mails are sent from accounts of the platform."""

    relay_domain: str = RELAY_DOMAIN

    def accounts(self) -> list[str]:
        """Return the addresses of all accounts, businesses first."""
        return [self._account(number) for number in range(RELAYS + MEMBERS)]

    def account_of(self, session: int) -> int:
        """Return the place of a session's account in `accounts`."""
        return RELAYS + session - (SESSIONS - MEMBERS) if session >= SESSIONS - MEMBERS else session % RELAYS

    def sender(self, transaction: Transaction) -> str:
        """Return the address that a transaction is sent from: mails are dealt out to the sessions in turn."""
        return self._account(self.account_of(transaction.mail % SESSIONS))

    def recipient(self, number: int, domain: str) -> str:
        """Return an address elsewhere."""
        return f"{self.canary('r', number)}@{domain}"

    def _account(self, number: int) -> str:
        return f"{self.canary('a', number)}@{self.relay_domain if number < RELAYS else self.member_domain}"


@dataclass(frozen=True)
class OutwardAssignment(Assignment):
    """What to submit where: `port` is for TLS from the start, `starttls_port` for STARTTLS.

    `passwords` are those of the accounts of the run, in their order; `ca` is a file with what signed the certificate.
    """

    starttls_port: int = 0
    passwords: tuple[str, ...] = ()
    ca: str = ""
    sessions: int = SESSIONS

    @classmethod
    def from_json(cls, text: str) -> OutwardAssignment:
        """Return what `to_json` wrote."""
        given = json.loads(text)
        return cls(**{**given, "run": OutwardRun(**given["run"]), "passwords": tuple(given["passwords"])})

    def number_of(self, session: int, place: int) -> int | None:
        """Return which mail a session sends as its number `place`, None if it has sent all that it may."""
        number = session + SESSIONS * place
        limited = session >= SESSIONS - MEMBERS and place >= _MEMBER_MAILS
        return None if limited or number >= self.most else number

    def _recipients(self, number: int) -> tuple[str, ...]:
        # One recipient of thirty is refused: beyond one of ten an account has to pause.
        place = number % 50
        if place == 7:
            return (self._to(number, REFUSING),)
        if place == 20:
            return (self._to(number, STEADY), self._to(number, REFUSING))
        if place % 5 == 4:
            return (self._to(number, STEADY), self._to(1_000_000 + number, STEADY))
        return (self._to(number, {1: SLEEPY, 2: FORGETFUL}.get(place % 5, STEADY)),)

    def _to(self, number: int, domain: str) -> str:
        run = self.run
        assert isinstance(run, OutwardRun)
        return run.recipient(number, domain)
