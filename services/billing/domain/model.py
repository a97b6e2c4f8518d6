"""The words of billing, shared by its parts.

Amounts are integers in minor units of one currency (cents); there is no other number type for money anywhere. Days are
counted since 1970-01-01, months since 1970-01, both UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DAY = 86400
UNLIMITED = -1


class Meter(StrEnum):
    """What is counted or held; the catalogue prices and bounds them."""

    MAILS_STORED = "mails_stored"
    MAILS_DELIVERED = "mails_delivered"
    API_OPERATIONS = "api_operations"
    SENDS = "sends"
    PIECES = "pieces"
    STORAGE_BYTES = "storage_bytes"
    ADDRESSES = "addresses"


class Per(StrEnum):
    """What an allowance is of: what is used in a day or a month, or held at any time."""

    DAY = "day"
    MONTH = "month"
    LEVEL = "level"


class Profile(StrEnum):
    """The kinds of users, as the policy names them."""

    GUEST = "guest"
    SEALED = "sealed"
    PUBLIC = "public"
    MAILING = "mailing"
    RELAY = "relay"


class State(StrEnum):
    """How an account stands with its bills. `READ_ONLY` loses nothing: mail comes in and can be read."""

    FREE = "free"
    TRIAL = "trial"
    ACTIVE = "active"
    GRACE = "grace"
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True)
class Tier:
    """From the unit after `above` on, each started lot of `per_units` costs `price`."""

    above: int
    price: int
    per_units: int = 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a plan includes of a meter, `UNLIMITED` or a number; without tiers no more than that can be had."""

    meter: Meter
    per: Per
    included: int
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One offer to accounts of one profile; `price` is that of a month, before tax."""

    name: str
    profile: Profile
    title: str
    help: str
    price: int
    allowances: Mapping[Meter, Allowance] = field(default_factory=dict)
    trial_days: int = 0
    # Nobody can choose it any more; who has it keeps it.
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Tax:
    """The rate of a country in thousandths of a per cent (19 % is 19_000), and what an invoice calls it."""

    rate: int
    title: str


@dataclass(frozen=True, slots=True)
class Seller:
    """Who issues invoices: what law wants on them."""

    name: str
    address_lines: tuple[str, ...]
    country: str
    vat_id: str
    bank: str


@dataclass(frozen=True)
class Catalogue:
    """All offers of one version. Prices of a version never change; another price is another version."""

    version: int
    # First day on which it holds.
    from_day: int
    currency: str
    digits: int
    plans: Mapping[str, Plan]
    # The plan of an account that never chose, by profile.
    defaults: Mapping[Profile, str]
    taxes: Mapping[str, Tax]
    seller: Seller
    credit_packs: tuple[int, ...] = ()
    # Prices of what is paid by credits, by meter: pieces, relay packs.
    prices: Mapping[Meter, tuple[Tier, ...]] = field(default_factory=dict)
    payment_days: int = 14
    grace_days: int = 14
    # How long before what follows this version begins everybody knows of it who pays more by it or has less.
    notice_days: int = 30
