"""Tells accounts that their sending is paused: what happened, what that means, what to do."""

from __future__ import annotations

import textwrap
from datetime import datetime
from email.utils import format_datetime

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError, UnavailableError
from libs.telemetry.logs import get_logger
from services.delivery.customers.standing import Standing, Standings
from services.delivery.domain.limits import per_mille, total
from services.delivery.domain.ports import Notices

_AT_ONCE = 20
_AGAIN_SECONDS = 300
_WIDTH = 76
_SUBJECT = "Your sending is paused"
_WHY = {
    "bounces": (
        "Of the last {settled} recipients of your mail, {count} ({percent} %) do not exist or refused it for good. "
        "That usually means that a list is old or was not collected by yourself. Mail servers take it for a sign of "
        "unwanted mail, and then also refuse the mail of everybody else who sends from here; so we stop above 10 %."
    ),
    "complaints": (
        "Of the last {settled} recipients of your mail, {count} ({percent} %) reported it as unwanted. Mail servers "
        "that see this also refuse the mail of everybody else who sends from here; so we stop above 0.3 %."
    ),
}
_REST = (
    "Nothing is lost: you go on receiving mail, and you can read, export and delete everything as before. Only new "
    "mail from you is not taken for now.",
    "What helps: take the addresses that failed or complained off your lists, write only to people who asked for it, "
    "and offer a way to unsubscribe in each mail. Then write to {postmaster} and say what you have changed; a person "
    "will look at it and switch your sending on again.",
    "Should this be our mistake, we are sorry; the same address helps.",
)

_log = get_logger("pausing")


class PauseNotices:
    """Brings the notices that are due into the mailboxes."""

    def __init__(self, standings: Standings, notices: Notices, domain: str, clock: Clock) -> None:
        """`domain` is the one whose postmaster answers."""
        self._standings = standings
        self._notices = notices
        self._domain = domain
        self._clock = clock

    async def send(self) -> int:
        """Send at most 20 that are due; return how many there were. One that cannot be sent is tried again later."""
        due = await self._standings.due_notices(_AT_ONCE)
        for standing in due:
            again = 0
            try:
                content = make_notice(standing, self._domain, self._clock.now())
                await self._notices.put(standing.account_id, standing.notice_id, content)
            except UnavailableError as error:
                again = unix_seconds(self._clock) + _AGAIN_SECONDS
                _log.warning("notice_failed", error=error)
            except SealpostError as error:
                # The account is gone, or takes no mail: there is nobody to tell.
                _log.warning("notice_dropped", error=error)
            await self._standings.told(standing, again)
        return len(due)


def make_notice(standing: Standing, domain: str, now: datetime) -> bytes:
    """Return the mail that tells an account why it is paused; `now` is aware."""
    settled, bounced, complained = total(standing.ring)
    count = complained if standing.paused == "complaints" else bounced
    told = {
        "settled": f"{settled:,}",
        "count": f"{count:,}",
        "percent": f"{per_mille(count, settled) / 10:g}",
        "postmaster": f"postmaster@{domain}",
    }
    why = _WHY.get(standing.paused, "An operator of this installation has paused your sending.")
    paragraphs = [f"This is the mail service of {domain}. We have paused the sending of mail from your account."]
    paragraphs += [paragraph.format(**told) for paragraph in (why, *_REST)]
    head = (
        "Return-Path: <>\r\n"
        f"Date: {format_datetime(now)}\r\n"
        f"From: Mail service <postmaster@{domain}>\r\n"
        "To: undisclosed-recipients:;\r\n"
        f"Subject: {_SUBJECT}\r\n"
        f"Message-ID: <{standing.notice_id}@{domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
    )
    return (head + "\r\n\r\n".join(map(_wrapped, paragraphs)) + "\r\n").encode("ascii")


def _wrapped(text: str) -> str:
    return "\r\n".join(textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
