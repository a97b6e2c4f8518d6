"""Numbers of cards are found however they are written, and little else is."""

from __future__ import annotations

import pytest

from services.billing.domain.cards import has_card_number

# Numbers that card networks publish for tests.
CARDS = (
    "4242424242424242",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "4222222222222",
    "6304000000000000",
)


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("shape", ["{}", "Card {}!", "x{}y"])
def test_a_card_is_found(number: str, shape: str) -> None:
    assert has_card_number(shape.format(number))
    parted = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    assert has_card_number(shape.format(parted))
    assert has_card_number(shape.format(parted.replace(" ", "-")))
    assert has_card_number(shape.format(parted.replace(" ", "\u00a0")))


def test_a_card_amid_other_digits_is_found() -> None:
    assert has_card_number("0000000" + CARDS[0])


def test_a_mistyped_card_is_no_card() -> None:
    assert not has_card_number("4242424242424241")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Example Street 1",
        "10115 Berlin",
        "DE129273398",
        "+49 30 1234567",
        "0" * 16,
        "123456789012",
        "4242 4242, 4242 4242",
    ],
)
def test_addresses_are_no_cards(text: str) -> None:
    assert not has_card_number(text)
