"""Between messages and the domain, for the rights of account owners."""

from __future__ import annotations

from collections.abc import Iterable

from libs.runtime.errors import InvalidError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.common.v1 import common_pb2
from services.accounts.codec import PROFILES, erasure_message
from services.accounts.domain.concerns import Thread
from services.accounts.domain.model import Profile, Standing
from services.accounts.domain.notices import Marking
from services.accounts.domain.rights import OwnRights
from services.accounts.domain.rights_ports import About, ConsentTo

_PROFILES_BACK = {number: profile for profile, number in PROFILES.items()}
_MOST_CONSENTS = 20


def profiles(numbers: Iterable[common_pb2.Profile.ValueType]) -> tuple[Profile, ...]:
    """Return profiles; InvalidError("profile") for one that does not exist."""
    found = tuple(dict.fromkeys(numbers))
    if any(number not in _PROFILES_BACK for number in found):
        raise InvalidError("profile")
    return tuple(_PROFILES_BACK[number] for number in found)


def consents(request: pb.PutConsentsRequest) -> dict[ConsentTo, bool]:
    """Return what is agreed to; InvalidError("consent") for a purpose that does not exist or stands twice."""
    if len(request.consents) > _MOST_CONSENTS:
        raise InvalidError("consent")
    given: dict[ConsentTo, bool] = {}
    for one in request.consents:
        try:
            purpose = ConsentTo(one.purpose)
        except ValueError as error:
            raise InvalidError("consent") from error
        if purpose in given:
            raise InvalidError("consent")
        given[purpose] = one.given
    return given


def about(text: str) -> About:
    """Return what a concern is about; InvalidError("about")."""
    try:
        return About(text)
    except ValueError as error:
        raise InvalidError("about") from error


def marking(request: pb.MarkNoticedRequest) -> Marking:
    """Return what accounts are told of."""
    return Marking(
        version=request.version,
        at=request.at,
        effective=request.effective,
        old_until=request.old_terms_until,
        profiles=profiles(request.profiles),
    )


def rights_message(own: OwnRights, shown: Standing | None, terms: int) -> pb.Rights:
    """Encode what an owner has agreed to, the notice that is shown to him, and the version whose terms hold."""
    return pb.Rights(
        consents=[
            pb.Consent(purpose=to.value, given=own.consents.to(to).given, at=own.consents.to(to).at) for to in ConsentTo
        ],
        contact=own.contact,
        erasure=erasure_message(own.account.erasure) if own.account.erasure else None,
        notice=_notice(shown) if shown else None,
        terms=terms,
    )


def _notice(standing: Standing) -> pb.Notice:
    return pb.Notice(
        version=standing.noticed,
        noticed_at=standing.noticed_at,
        answer=standing.answer.value,
        effective=standing.effective,
        old_terms_until=standing.old_until,
    )


def concern_message(thread: Thread, *, staff: bool) -> pb.Concern:
    """Encode a concern; only staff is told whose it is."""
    concern = thread.concern
    return pb.Concern(
        concern_id=concern.concern_id,
        state=concern.state.value,
        about=concern.about.value,
        opened_at=concern.opened_at,
        changed_at=concern.changed_at,
        entries=[pb.ConcernEntry(by_staff=one.by_staff, at=one.at, text=one.text) for one in thread.entries],
        address=thread.address if staff else "",
        account_id=concern.account_id if staff else "",
    )
