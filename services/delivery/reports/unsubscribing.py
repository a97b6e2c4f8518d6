"""Takes recipients off an account's lists when they click in a mail (RFC 8058)."""

from __future__ import annotations

from libs.runtime.clock import Clock, unix_seconds
from services.delivery.domain.events import event_id_of
from services.delivery.domain.ports import Happening, Happenings, Kind
from services.delivery.domain.unsubscribe import UnsubscribeLinks


class Unsubscribing:
    """Follows links."""

    def __init__(self, links: UnsubscribeLinks, happenings: Happenings, clock: Clock) -> None:
        """Take what reads links, and who is told."""
        self._links = links
        self._happenings = happenings
        self._clock = clock

    async def unsubscribe(self, token: str) -> None:
        """Note that the recipient whom `token` names wants no more mail of this account; idempotent.

        Raises: NotFoundError("token_unknown"), UnavailableError.
        """
        one = self._links.read(token)
        await self._happenings.note(
            [
                Happening(
                    event_id=event_id_of(one.mail_id, one.index, Kind.UNSUBSCRIBED),
                    kind=Kind.UNSUBSCRIBED,
                    at=unix_seconds(self._clock),
                    account_id=one.account_id,
                    profile=one.profile,
                    submission_id=one.mail_id,
                    campaign=one.campaign,
                    recipient=one.address,
                )
            ]
        )
