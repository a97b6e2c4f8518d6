"""What reports work with, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.runtime.errors import SealpostError
from services.delivery.domain.model import Profile, State
from services.delivery.domain.ports import Happening, PlatformLetter, Trace


def traces(
    mail_id: str, *addresses: str, profile: Profile = Profile.RELAY, state: State = State.DELIVERED
) -> list[Trace]:
    """Return what is known of a mail to these addresses."""
    return [
        Trace(
            mail_id=mail_id,
            account_id="a" * 32,
            profile=profile,
            mail_from="ada@sealpost.test",
            campaign="autumn",
            submitted_at=1_795_360_000,
            message_id="<1@sealpost.test>",
            index=index,
            address=address,
            state=state,
            status="2.0.0",
        )
        for index, address in enumerate(addresses)
    ]


class FakeTrails:
    """A ports.Trails."""

    def __init__(self) -> None:
        self.mails: dict[str, list[Trace]] = {}
        self.fault: SealpostError | None = None

    async def find(self, mail_id: str) -> Sequence[Trace]:
        if self.fault is not None:
            raise self.fault
        return self.mails.get(mail_id, [])

    async def bounced(self, mail_id: str, index: int, status: str) -> bool:
        if self.fault is not None:
            raise self.fault
        trace = self.mails[mail_id][index]
        self.mails[mail_id][index] = replace(trace, state=State.BOUNCED, status=status)
        return trace.state is not State.BOUNCED


class FakeHappenings:
    """A ports.Happenings."""

    def __init__(self) -> None:
        self.noted: dict[str, Happening] = {}
        self.fault: SealpostError | None = None

    async def note(self, happenings: Sequence[Happening]) -> None:
        if self.fault is not None:
            raise self.fault
        for one in happenings:
            self.noted.setdefault(one.event_id, one)


class FakeNotices:
    """A ports.Notices."""

    def __init__(self) -> None:
        self.put_ones: dict[str, tuple[str, bytes]] = {}
        self.fault: SealpostError | None = None

    async def put(self, account_id: str, notice_id: str, content: bytes) -> None:
        self.put_ones[notice_id] = (account_id, content)
        if self.fault is not None:
            raise self.fault


class FakeLetters:
    """A ports.Letters: what was sent, by notice."""

    def __init__(self) -> None:
        self.sent: dict[str, PlatformLetter] = {}
        self.fault: SealpostError | None = None

    async def send(self, letter: PlatformLetter) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.setdefault(letter.notice_id, letter)
