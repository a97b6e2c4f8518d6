"""Sentences for the words of billing; see reasons.py."""

from __future__ import annotations

BILLING = {
    "billing_unavailable": "This installation sends no bills; there is nothing to choose or to pay.",
    "usage_range": "A statement begins before it ends, and spans at most 400 days.",
    "plan": "There is no such plan to choose.",
    "allowance_used": (
        "This is all that the plan has for a day. There is more from midnight UTC, or at once with a larger plan: see"
        " Plan and usage, or GET /v1/billing/standing."
    ),
    "plan_lacks": "The plan does not have this; another one does: see Plan and usage, or GET /v1/billing/catalogue.",
    "read_only": "A bill is unpaid for long; pay it first. Mail still comes in, and all of it can be read.",
    "account": "This account is erased.",
    "name": "A name is one line of at most 120 characters.",
    "address_lines": "An address has at most six lines of 120 characters.",
    "country": "A country is its two capital letters, like DE or FR.",
    "vat_id": "This is not the form of a VAT number.",
    "card_number": "This looks like the number of a card. Never write it here; it is not needed.",
    "invoice": "There is no such invoice.",
    "payment": "There is no such payment.",
    "amount": "This is not the amount that is asked for.",
    "nothing_left": "There is not so much left of this invoice.",
    "not_booked": "This invoice is still being issued; try again in some minutes.",
    "reference": "This is not the reference of a payment.",
    "credits": "There are not enough credits; buy some first.",
    "due": "There is nothing left to pay.",
    "paid": "There is nothing left to pay of this.",
    "request_id": "This id was used for another payment before.",
    "too_many": "Too many payments wait already; make some of them first.",
    "credited": "This invoice was taken back; there is nothing to pay.",
    "refunded": "This payment was given back already.",
    "held": "Some of these credits are used or put aside for a job already.",
    "undone": "This was taken back already.",
    "no_portal": "There is nothing to manage at a provider of payments.",
    "not_needed": "Nothing has to be paid for a plan now; choose it, and an invoice comes at the end of the month.",
    "state": "The payment is not in a state in which this can be done.",
    "signature": "The signature is missing, too old, or not the provider's.",
    "webhook": "This is not an event that the provider of payments sends.",
}
# Waiting does not help; buying does.
FULL = frozenset({"credits"})
TO_PAY = frozenset({"plan_lacks", "read_only"})
# Between the services.
FAULTS = frozenset(
    {
        "days",
        "meter",
        "units",
        "event",
        "form",
        "no_price",
        "not_booked",
        "hold",
        "of",
        "dispute",
        "what",
        "prepaid",
        "too_many_mailboxes",
    }
)
