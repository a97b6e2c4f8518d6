"""What the platform would do without the mechanisms of the clauses that hold for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

from tests.support.clauses import (
    Anything,
    Saboteur,
    awaited,
    document_changed,
    reached_without,
    returning,
    switch,
    write_down,
)

_ELSEWHERE = b"default-src 'none'; script-src 'self' https://elsewhere.example; img-src *"


def _pages_from_elsewhere(service: str) -> None:
    """E1: pages may load from other sites."""
    from services.gateway.http.headers import SecurityHeaders

    def without(kept: Anything) -> Anything:
        def added_to(self: Any, path: str, headers: Any) -> Any:
            merged = [one for one in kept(self, path, headers) if one[0] != b"content-security-policy"]
            return [*merged, (b"content-security-policy", _ELSEWHERE)]

        return added_to

    switch("E1", SecurityHeaders, "added_to", without)


def _requests_kept(service: str) -> None:
    """E2: whoever asks is noted, as in the logs of others."""
    from services.accounts.domain import verifiers

    def without(kept: Anything) -> Anything:
        def noted(hashes: Any, address: Any) -> Any:
            write_down(address.text.encode())
            return kept(hashes, address)

        return noted

    switch("E2", verifiers, "decoy_kdf", without)


def _statistics_for_many(service: str) -> None:
    """E3: any number of people may hold the role."""
    from services.accounts.domain.staff import Staff

    switch("E3", Staff, "most", returning(1000))


def _statistics_for_all(service: str) -> None:
    """E3: whoever is signed in sees statistics."""
    _roles_for_all("E3/role", "statistics")


def _another_cookie(service: str) -> None:
    """E4: another cookie that stays, beside that of the session."""
    from services.gateway.http import caller

    def without(kept: Anything) -> Anything:
        def set_both(response: Any, token: str) -> None:
            kept(response, token)
            response.set_cookie("visitor", "1", max_age=86_400)

        return set_both

    switch("E4", caller, "set_session", without)


def _cookie_for_guests(service: str) -> None:
    """E4: whoever looks at a page is given a cookie."""
    from services.gateway.http.headers import SecurityHeaders

    def without(kept: Anything) -> Anything:
        def added_to(self: Any, path: str, headers: Any) -> Any:
            return [*kept(self, path, headers), (b"set-cookie", b"visitor=1")]

        return added_to

    switch("E4/guest", SecurityHeaders, "added_to", without)


def _cookie_stays(service: str) -> None:
    """E4: the cookie of the session outlives the browser."""
    from services.gateway.http import caller

    def without(kept: Anything) -> Anything:
        def set_for_long(response: Any, token: str) -> None:
            response.set_cookie(
                caller.COOKIE, token, max_age=86_400, secure=True, httponly=True, samesite="strict", path="/"
            )

        return set_for_long

    switch("E4/stays", caller, "set_session", without)


def _mail_in_clear(service: str) -> None:
    """E5: each mail is kept in clear beside the sealed one."""
    from services.crypto.domain import sealing

    def without(kept: Anything) -> Anything:
        def both(owner: Any, item: Any) -> Any:
            write_down(item.body)
            return kept(owner, item)

        return both

    switch("E5", sealing, "_seal_to", without)


def _nothing_exported(service: str) -> None:
    """E6: an owner of data hands out nothing of it."""
    from libs.owner.owner import Owner

    def without(kept: Anything) -> Anything:
        async def nothing(*args: Any) -> AsyncIterator[Any]:
            held: tuple[Any, ...] = ()
            for one in held:
                yield one

        return nothing

    switch("E6", Owner, "export", without)


def _preferences_stay(service: str) -> None:
    """E7: preferences are not deleted when their owner asks for it."""
    from services.storage.objects import Objects

    switch("E7", Objects, "delete", awaited(None))


def _consent_ignored(service: str) -> None:
    """E8: mail goes out without consent."""
    reached_without("E8", "newsletter")


def _any_purpose(service: str) -> None:
    """E10: letters go out for purposes that are not theirs."""
    from services.delivery.platform.sending import PlatformMail

    switch("E10", PlatformMail, "_belongs", returning(True))


def _purpose_changed(service: str) -> None:
    """E10: what is held is said to be held for something else."""
    document_changed("E10/class", lambda document: document["classes"]["contact"].update(purpose="security"))


def _roles_for_all(saboteur: str, *open_to_all: str) -> None:
    from services.gateway.http import roles
    from services.gateway.http.caller import session_caller

    def without(kept: Anything) -> Anything:
        async def anybody(request: Any, wanted: Any) -> Any:
            found = await kept(request, wanted)
            if found is None and wanted & set(open_to_all):
                return await session_caller(request)
            return found

        return anybody

    switch(saboteur, roles, "holder", without)


def _cases_for_all(service: str) -> None:
    """E11: whoever is signed in can work on cases."""
    _roles_for_all("E11", "disclosure")


def _staff_for_all(service: str) -> None:
    """E12: whoever is signed in can do what operators do."""
    _roles_for_all("E12", "operator")


def _dns_for_all(service: str) -> None:
    """E12: nobody looks for the role where that is done in the route itself."""
    from services.gateway.http import relay_operator

    switch("E12/route", relay_operator, "_require", returning(None))


def _guesses_unlimited(service: str) -> None:
    """E13: nobody counts wrong proofs."""
    if service == "accounts":
        from services.accounts.domain.attempts import Attempts

        switch("E13", Attempts, "attempt", lambda kept: lambda *args: nullcontext())
        return
    from services.gateway.http.guard import Guard
    from services.gateway.http.limits import Limits

    switch("E13", Guard, "_count", returning(None))
    switch("E13", Limits, "target", returning(None))


def _guesses_kept(service: str) -> None:
    """E13: what somebody tries is noted."""
    from services.accounts.domain.access import Access

    def without(kept: Anything) -> Anything:
        async def noted(self: Any, text: str, authentication_key: bytes) -> Any:
            write_down(text.encode())
            return await kept(self, text, authentication_key)

        return noted

    switch("E13/kept", Access, "sign_in", without)


def _nothing_swept(service: str) -> None:
    """E14: nobody deletes what is over."""
    from libs.owner.model import Swept
    from libs.owner.owner import Owner

    switch("E14", Owner, "sweep", awaited(Swept(0, False)))


OWNERS = ("accounts", "crypto", "storage", "delivery", "analytics", "billing", "retention")
SABOTEURS = (
    Saboteur("E1", ("gateway",), _pages_from_elsewhere),
    Saboteur("E2", ("accounts",), _requests_kept),
    Saboteur("E3", ("accounts",), _statistics_for_many),
    Saboteur("E3/role", ("gateway",), _statistics_for_all),
    Saboteur("E4", ("gateway",), _another_cookie),
    Saboteur("E4/guest", ("gateway",), _cookie_for_guests),
    Saboteur("E4/stays", ("gateway",), _cookie_stays),
    Saboteur("E5", ("crypto",), _mail_in_clear),
    Saboteur("E6", ("accounts",), _nothing_exported),
    Saboteur("E7", ("storage",), _preferences_stay),
    Saboteur("E8", ("accounts",), _consent_ignored),
    Saboteur("E10", ("delivery",), _any_purpose),
    Saboteur("E10/class", ("gateway",), _purpose_changed),
    Saboteur("E11", ("gateway",), _cases_for_all),
    Saboteur("E12", ("gateway",), _staff_for_all),
    Saboteur("E12/route", ("gateway",), _dns_for_all),
    Saboteur("E13", ("accounts", "gateway"), _guesses_unlimited),
    Saboteur("E13/kept", ("accounts",), _guesses_kept),
    Saboteur("E14", OWNERS, _nothing_swept),
)
