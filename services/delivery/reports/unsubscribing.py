"""Takes recipients off an account's lists, and accounts off ours, when they click in a mail (RFC 8058)."""

from __future__ import annotations

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError
from services.delivery.domain.events import event_id_of
from services.delivery.domain.ports import Happening, Happenings, Kind, Trails
from services.delivery.domain.unsubscribe import UnsubscribeLinks
from services.delivery.platform.consent import ConsentLinks


class Unsubscribing:
    """Follows links."""

    def __init__(
        self,
        links: UnsubscribeLinks,
        happenings: Happenings,
        clock: Clock,
        consents: ConsentLinks | None = None,
        trails: Trails | None = None,
    ) -> None:
        """Take what reads links, and who is told; `consents` follows those of our own letters.

        `trails` know under which terms a mail went out, while it is remembered; a link works for longer than terms
        are kept, so it does not say them, and after that those in force hold.
        """
        self._links = links
        self._happenings = happenings
        self._clock = clock
        self._consents = consents
        self._trails = trails

    async def unsubscribe(self, token: str) -> None:
        """Note that the recipient whom `token` names wants no more mail of this account; idempotent.

        Raises: NotFoundError("token_unknown"), UnavailableError.
        """
        try:
            one = self._links.read(token)
        except NotFoundError:
            if self._consents is None:
                raise
            await self._consents.withdraw(token)
            return
        traces = await self._trails.find(one.mail_id) if self._trails is not None else ()
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
                    terms=traces[0].terms if traces else 0,
                )
            ]
        )
