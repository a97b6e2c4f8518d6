"""Letters about plans and bills: what it is, until when, what happens then, what helps. Never a threat."""

from __future__ import annotations

from collections.abc import Mapping

from services.delivery.platform.letter import Fields, Letter, Place, Written, hello, said

_PAGE = "settings/billing"
_NOTHING_LOST = (
    "Nothing is ever deleted for an unpaid bill: your mail stays, new mail comes in, and you can read all of it."
)


def _price_change(fields: Fields, place: Place) -> Written:
    plan, since = said(fields, "plan"), said(fields, "since")
    return Written(
        f"What your plan costs changes on {since}",
        (
            f"{hello(place)} From {since} on something of your plan, {plan}, is different:",
            said(fields, "changes", 1000),
            "Until then everything stays as it is. You can change your plan or go back to the free one at any time, "
            "in one click, here:",
            place.link(_PAGE),
        ),
    )


def _invoice_due(fields: Fields, place: Place) -> Written:
    number, amount, due = (said(fields, name) for name in ("invoice", "amount", "due"))
    return Written(
        f"Invoice {number} is due today",
        (
            f"{hello(place)} Invoice {number} of {amount} is due on {due}, and we have not seen it paid yet.",
            "If you have just paid it, there is nothing to do: transfers take a day or two. Otherwise you can pay it "
            "here:",
            place.link(_PAGE),
            _NOTHING_LOST,
        ),
    )


def _grace(fields: Fields, place: Place) -> Written:
    number, amount, due, until = (said(fields, name) for name in ("invoice", "amount", "due", "until"))
    return Written(
        f"Invoice {number} is still open; everything works until {until}",
        (
            f"{hello(place)} Invoice {number} of {amount} was due on {due}. Everything goes on as before until "
            f"{until}. After that your account can receive and read mail, but not send any, until it is paid.",
            "You can pay it here:",
            place.link(_PAGE),
            f"{_NOTHING_LOST} If you cannot pay now, write to postmaster@{place.domain}; a person will answer.",
        ),
    )


def _read_only(fields: Fields, place: Place) -> Written:
    due = said(fields, "due")
    return Written(
        "Sending is stopped until your invoice is paid",
        (
            f"{hello(place)} An invoice that was due on {due} is not paid, so your account sends no mail for now.",
            "As soon as it is paid, everything works as before, within a minute:",
            place.link(_PAGE),
            f"{_NOTHING_LOST} You can export or erase everything, too, and go back to the free plan.",
        ),
    )


def _paid(fields: Fields, place: Place) -> Written:
    return Written(
        "Thank you: everything works as before",
        (f"{hello(place)} Your invoices are paid. Everything works as before.", place.link(_PAGE)),
    )


LETTERS: Mapping[str, Letter] = {
    "price_change": Letter(("plan", "since", "changes"), _price_change),
    "invoice_due": Letter(("invoice", "amount", "due"), _invoice_due),
    "grace": Letter(("invoice", "amount", "due", "until"), _grace),
    "read_only": Letter(("due",), _read_only),
    "paid": Letter((), _paid),
}
