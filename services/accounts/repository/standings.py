"""How accounts stand to versions of the policy: fields of the account's own document, and indexes on them.

`noticed` is in every account's document, `told_at` only where the owner was told of a change: an account that signed
up with a version is not in that index.
"""

from __future__ import annotations

from libs.docstore.fields import choice, number, text
from libs.docstore.store import Body, Index, Value
from services.accounts.domain.model import Answer, Standing

STANDING_INDEXES = (Index("noticed", ("profile", "noticed")), Index("told_at", ("profile", "told_at")))
STANDING_FIELDS = (
    "noticed",
    "noticed_at",
    "told_at",
    "effective",
    "old_until",
    "answer",
    "kept",
    "held",
    "held_until",
)


def encode_standing(standing: Standing) -> dict[str, Value]:
    """Return the fields of a standing."""
    return {
        "noticed": standing.noticed,
        "noticed_at": standing.noticed_at,
        "told_at": standing.told_at or None,
        "effective": standing.effective,
        "old_until": standing.old_until,
        "answer": standing.answer.value,
        "kept": standing.kept,
        "held": standing.held,
        "held_until": standing.held_until,
    }


def decode_standing(body: Body) -> Standing:
    """Return the standing of an account's document."""
    return Standing(
        noticed=number(body, "noticed", 0),
        noticed_at=number(body, "noticed_at", 0),
        told_at=number(body, "told_at", 0),
        effective=number(body, "effective", 0),
        old_until=number(body, "old_until", 0),
        answer=choice(Answer, text(body, "answer")) if "answer" in body else Answer.NONE,
        kept=number(body, "kept", 0),
        held=number(body, "held", 0),
        held_until=number(body, "held_until", 0),
    )
