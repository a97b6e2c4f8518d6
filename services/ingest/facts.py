"""What ingest tells the statistics: sessions, mails, copies and sign-ins, in words of libs/policy/policy.yaml.

A session is one fact, at its end, by the best that came of it: an accepted mail outweighs one that was refused, and
what the client did to the connection counts only where nothing came of it at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from libs.mailbox.facts import record_stored, size_class
from libs.mailbox.model import Recipient
from libs.net.addresses import network_of
from libs.telemetry.facts import Recorder

# From the worst to the best; what stands further right outweighs what stands left of it.
_RANKS = {
    word: rank
    for rank, word in enumerate(("empty", "dropped", "idle", "unauthorized", "refused", "deferred", "accepted"))
}
_MAILS = {
    "accepted": "accepted",
    "refused": "refused",
    "denied": "refused",
    "too_large": "refused",
    "full": "deferred",
    "no_room": "deferred",
    "failed": "deferred",
}


class Visit:
    """One session."""

    def __init__(self, facts: Recorder, port: str) -> None:
        """Begin; `port` is "mx" or "submission"."""
        self._facts = facts
        self._port = port
        self._best = "empty"
        self._unit = b""

    def came_from(self, address: str) -> None:
        """Say who it is; only a pseudonym of the day is made of it."""
        self._unit = network_of(address).encode()

    def note(self, outcome: str) -> None:
        """Take `outcome` for that of the session if it outweighs what came before."""
        if _RANKS[outcome] > _RANKS[self._best]:
            self._best = outcome

    def mail(self, outcome: str, size: int) -> None:
        """Record a mail by a word of meters and its bytes; what is submitted is told by delivery."""
        known = _MAILS[outcome]
        self.note(known)
        if self._port == "mx":
            self._facts.record("mail_received", self._unit, outcome=known, size=size_class(size))

    def stored(self, recipients: Iterable[Recipient], size: int) -> None:
        """Record a copy for each mailbox, once."""
        for route in {one.route.mailbox_id: one.route for one in recipients}.values():
            record_stored(self._facts, route, size)

    def sign_in(self, outcome: str) -> None:
        """Record an attempt to sign in, by a word of the policy."""
        if outcome != "success":
            self.note("unauthorized")
        self._facts.record("logins", self._unit, door="submission", outcome=outcome)

    def over(self, tls: str) -> None:
        """Record the session; `tls` is the version, or "none"."""
        self._facts.record("smtp_sessions", self._unit, port=self._port, outcome=self._best, tls=tls)
