"""Grants as a data class: they follow the account, and go some time after their month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.docstore.store import Collection, Document, Store
from libs.owner.classes import Due, Owned, StoredClass
from libs.owner.model import HeldClass, Wanted
from services.billing.allowance.counts import GRANTS
from services.billing.domain.model import DAY

_INNER = frozenset({"account", "settle"})


def classes(store: Store, seconds: Callable[[], int]) -> list[HeldClass]:
    """Return the class `allowance`; `seconds`: how long after its month a count is kept, at least a day."""
    return [
        StoredClass(
            "allowance",
            store,
            [GRANTS],
            due={GRANTS.name: Due("ends", offset=lambda: max(DAY, seconds()))},
            owned={GRANTS.name: Owned("account", lambda subject: subject.account_id or None)},
            shown=_shown,
        )
    ]


def _shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
    return {name: value for name, value in document.body.items() if name not in _INNER}
