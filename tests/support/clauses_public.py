"""What the platform would do without the mechanisms of the clauses for public inboxes."""

from __future__ import annotations

from typing import Any

from tests.support.clauses import Anything, Saboteur, awaited, document_changed, returning, switch, write_down

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

    def another(document: Any) -> None:
        document["rules"]["public_mail_seconds"]["value"] += 1

    document_changed("P7", another)


def _kept_longer(service: str) -> None:
    """P4: public mail is kept for a day more than is promised."""
    from libs.mailbox import copies

    def without(kept: Anything) -> Anything:
        def for_longer(*args: Any) -> Any:
            copy = kept(*args)
            copy.expires_at += 86_400 if copy.expires_at else 0
            return copy

        return for_longer

    switch("P4/longer", copies, "make_copy", without)


def _page_runs(service: str) -> None:
    """P6: the page lets scripts of a mail run."""
    from services.gateway.http.headers import SecurityHeaders

    def without(kept: Anything) -> Anything:
        def runs(self: Any, path: str, headers: Any) -> Any:
            merged = [one for one in kept(self, path, headers) if one[0] != b"content-security-policy"]
            return [*merged, (b"content-security-policy", _RUNS)]

        return runs

    switch("P6/page", SecurityHeaders, "added_to", without)


def _cards_taken(service: str) -> None:
    """P5: what looks like the number of a card is taken, and kept as it is."""
    from services.billing.domain import cards

    switch("P5", cards, "has_card_number", returning(False))


def _card_kept(service: str) -> None:
    """P5: whoever writes the number of a card is refused, and it is noted."""
    from services.billing.domain import cards

    def without(kept: Anything) -> Anything:
        def noted(text: str) -> bool:
            write_down(text.encode())
            return bool(kept(text))

        return noted

    switch("P5/kept", cards, "has_card_number", without)


def _forms_elsewhere(service: str) -> None:
    """P5: a page may send a form, and so a card, anywhere."""
    from services.gateway.http.headers import SecurityHeaders

    def without(kept: Anything) -> Anything:
        def added_to(self: Any, path: str, headers: Any) -> Any:
            return [(name, value.replace(b"form-action 'none'", b"")) for name, value in kept(self, path, headers)]

        return added_to

    switch("P5/form", SecurityHeaders, "added_to", without)


SABOTEURS = (
    Saboteur("P1", ("gateway",), _not_told),
    Saboteur("P2", ("gateway",), _account_needed),
    Saboteur("P4", ("storage",), _nothing_trimmed),
    Saboteur("P4/longer", ("ingest", "ingest.worker"), _kept_longer),
    Saboteur("P5", ("billing",), _cards_taken),
    Saboteur("P5/kept", ("billing",), _card_kept),
    Saboteur("P5/form", ("gateway",), _forms_elsewhere),
    Saboteur("P6", ("gateway",), _mail_runs),
    Saboteur("P6/page", ("gateway",), _page_runs),
    Saboteur("P7", ("gateway",), _policy_of_another),
)
