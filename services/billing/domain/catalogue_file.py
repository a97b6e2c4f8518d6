"""The form of the catalogue's file, field by field; what holds between fields is checked in catalogue.py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.billing.domain import model

_MOST = 10**9
_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_THOUSANDTHS = 1000


def _whole(value: object) -> object:
    """Let only integers pass where an amount or a number is expected: neither 9.0 nor "9" nor true."""
    if type(value) is not int:
        raise ValueError("a whole number is expected")
    return value


def _rate(value: object) -> int:
    """Return thousandths of a per cent of a text such as "19" or "8.1"."""
    if not isinstance(value, str):
        raise ValueError('a text such as "19" or "8.1" is expected, in per cent')
    try:
        thousandths = Decimal(value) * _THOUSANDTHS
        rate = int(thousandths)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError("not a number") from error
    if rate != thousandths:
        raise ValueError("more than three decimals")
    return rate


def _unlimited(value: object) -> object:
    return model.UNLIMITED if value == "unlimited" else _whole(value)


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_MOST)]
Text = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaxPart(_Part):
    """A country's rate, in per cent."""

    rate: Annotated[int, BeforeValidator(_rate), Field(ge=0, le=100 * _THOUSANDTHS)]
    title: Text


class SellerPart(_Part):
    """Who issues invoices."""

    name: Text
    address_lines: Annotated[tuple[Text, ...], Field(min_length=1, max_length=6)]
    country: Country
    vat_id: Annotated[str, Field(max_length=30)]
    bank: Text


class TierPart(_Part):
    """A step of a price: each lot of `per_units` above `above` units."""

    above: Whole
    price: Whole
    per_units: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=_MOST)] = 1

    def tier(self) -> model.Tier:
        """Return it in the domain's words."""
        return model.Tier(self.above, self.price, self.per_units)


class AllowancePart(_Part):
    """What a plan includes of a meter: a whole number or `unlimited`."""

    per: model.Per
    included: Annotated[int, BeforeValidator(_unlimited), Field(ge=model.UNLIMITED, le=10**15)]
    tiers: tuple[TierPart, ...] = ()


class Offer(_Part):
    """A plan."""

    profile: model.Profile
    title: Text
    help: Text
    price: Whole
    trial_days: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=90)] = 0
    retired: bool = False
    allowances: dict[model.Meter, AllowancePart] = Field(default_factory=dict)


class Version(_Part):
    """All offers from a day on."""

    version: Annotated[int, BeforeValidator(_whole), Field(ge=1)]
    from_: date = Field(alias="from")
    plans: dict[Annotated[str, Field(pattern=_NAME)], Offer]
    defaults: dict[model.Profile, str]
    taxes: dict[Country, TaxPart]
    credit_packs: Annotated[tuple[Whole, ...], Field(max_length=12)] = ()
    prices: dict[model.Meter, tuple[TierPart, ...]] = Field(default_factory=dict)
    payment_days: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=90)] = 14
    grace_days: Annotated[int, BeforeValidator(_whole), Field(ge=7, le=365)] = 14
    notice_days: Annotated[int, BeforeValidator(_whole), Field(ge=14, le=365)] = 30


class File(_Part):
    """The whole file."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    digits: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=3)]
    seller: SellerPart
    versions: Annotated[tuple[Version, ...], Field(min_length=1, max_length=200)]
