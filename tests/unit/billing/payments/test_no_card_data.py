"""No card data can pass: nothing that billing says or keeps has a field for it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator

import services.billing
from protos.billing.v1 import billing_pb2
from services.billing.graph import COLLECTIONS

_CARD = re.compile(r"(?:^|_)(?:card|pan|cvc|cvv|expiry|exp_month|exp_year|iban|track|pin)(?:_|$)")


def _names() -> Iterator[str]:
    for message in billing_pb2.DESCRIPTOR.message_types_by_name.values():
        yield from (f"{message.name}.{field.name}" for field in message.fields)
    for collection in COLLECTIONS:
        yield from (f"{collection.name}.{name}" for name in collection.fields)
    for module in pkgutil.walk_packages(services.billing.__path__, "services.billing."):
        if module.name.endswith(".main"):
            continue
        for one in vars(importlib.import_module(module.name)).values():
            if dataclasses.is_dataclass(one) and isinstance(one, type):
                yield from (f"{one.__name__}.{field.name}" for field in dataclasses.fields(one))


def test_no_field_can_hold_a_card() -> None:
    names = set(_names())
    assert len(names) > 300
    assert [name for name in sorted(names) if _CARD.search(name.partition(".")[2])] == []


def test_the_search_bites() -> None:
    assert all(_CARD.search(name) for name in ("card", "card_number", "pan", "cvc", "exp_month"))
    assert not any(_CARD.search(name) for name in ("discard", "company", "span", "next_plan", "pinned"))
