"""What the platform would do without the mechanisms of the clauses for public inboxes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from tests.support.clauses import Anything, Saboteur, awaited, switch

_RUNS = b"default-src 'none'; script-src 'self' 'unsafe-inline'; form-action 'none'"


def _not_told(service: str) -> None:
    """P1: nobody is told that an inbox is public."""
    from services.gateway.http import models, public

    def without(kept: Anything) -> Anything:
        return lambda **fields: kept(**{**fields, "notice": ""})

    # The routes, which are made of the model, are there already.
    if not public.router.routes:
        raise RuntimeError("there are no routes of public inboxes")
    switch("P1", models, "PublicMessagesOut", without)


def _account_needed(service: str) -> None:
    """P2: public inboxes are for those who have signed in."""
    from services.gateway.http import public
    from services.gateway.http.caller import session_caller

    def without(kept: Anything) -> Anything:
        async def signed_in(request: Any, address: str) -> Any:
            await session_caller(request)
            return await kept(request, address)

        return signed_in

    switch("P2", public, "public_route", without)


def _nothing_trimmed(service: str) -> None:
    """P4: inboxes keep more than their newest."""
    from services.storage.expiry import Trimmer

    switch("P4", Trimmer, "step", awaited(0))


def _mail_runs(service: str) -> None:
    """P6: a mail is shown as a page, and what it brings may run."""
    from services.gateway.http.headers import SecurityHeaders

    def without(kept: Anything) -> Anything:
        def shown(self: Any, path: str, headers: Any) -> Any:
            merged = kept(self, path, headers)
            if not path.endswith("/raw"):
                return merged
            changed = (b"content-type", b"content-disposition", b"x-content-type-options", b"content-security-policy")
            others = [one for one in merged if one[0].lower() not in changed]
            return [*others, (b"content-type", b"text/html"), (b"content-security-policy", _RUNS)]

        return shown

    switch("P6", SecurityHeaders, "added_to", without)


def _policy_of_another(service: str) -> None:
    """P7: what is served here is the policy of another installation."""
    from services.gateway.policy.source import Policies

    def without(kept: Anything) -> Anything:
        async def others(self: Any, number: int = 0) -> Any:
            found = await kept(self, number)
            document = copy.deepcopy(found.document)
            document["rules"]["public_mail_seconds"]["value"] += 1
            return replace(found, document=document)

        return others

    switch("P7", Policies, "version", without)


SABOTEURS = (
    Saboteur("P1", ("gateway",), _not_told),
    Saboteur("P2", ("gateway",), _account_needed),
    Saboteur("P4", ("storage",), _nothing_trimmed),
    Saboteur("P6", ("gateway",), _mail_runs),
    Saboteur("P7", ("gateway",), _policy_of_another),
)
