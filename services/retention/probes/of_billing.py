"""Probes of what is paid for."""

from __future__ import annotations

import secrets

from libs.runtime.ids import new_id
from services.retention.probes.world import Broken, UnknowableError, World

_MOST_DIGITS = 16


async def no_card_data(world: World) -> None:
    """P5: whoever writes the number of a card is refused, it is kept nowhere, and no page of ours can send one away."""
    number = _card_number()
    person = await world.people.of("sealed")
    forms: dict[tuple[str, str], dict[str, object]] = {
        ("PUT", "/v1/billing/details"): {"name": number, "address_lines": [], "country": "", "vat_id": ""},
        ("POST", "/v1/billing/payments"): {"request_id": new_id(), "credits": 1000, "card": {"number": number}},
    }
    for (method, path), form in forms.items():
        answer = await world.web.ask(method, path, form=form, token=person.token)
        if answer.status in (401, 404) or answer.status >= 500:
            raise UnknowableError("billing")
        if answer.status < 400:
            raise Broken("card_taken")
    parted = " ".join(number[start : start + 4] for start in range(0, _MOST_DIGITS, 4))
    if await world.traces(number, parted):
        raise Broken("card_kept")
    page = await world.web.ask("GET", "/privacy")
    if page.status != 200:
        raise UnknowableError("page")
    if "form-action 'none'" not in page.header("content-security-policy"):
        raise Broken("forms_go_elsewhere")


def _card_number() -> str:
    """Return 16 digits that nobody has, of which the last checks the others."""
    digits = [4, *(secrets.randbelow(10) for _ in range(_MOST_DIGITS - 2))]
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit if position % 2 else digit * 2
        total += doubled - 9 if doubled > 9 else doubled
    return "".join(map(str, [*digits, -total % 10]))
