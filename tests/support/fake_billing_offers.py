"""What the fake of billing offers: three plans for everybody."""

from __future__ import annotations

from protos.billing.v1 import billing_pb2 as pb

_METERS = {
    "storage_bytes": ("Storage", "byte", "level"),
    "addresses": ("Addresses", "address", "level"),
    "sends": ("Mails sent", "mail", "day"),
    "api_operations": ("API operations", "operation", "day"),
    "mails_delivered": ("Mails delivered", "mail", "month"),
}


def allowance_of(meter: str, included: int, tiers: tuple[tuple[int, int, int], ...] = ()) -> pb.Allowance:
    """Return an allowance; a tier is (above, price, per units)."""
    title, unit, per = _METERS[meter]
    found = [pb.Tier(above=above, price=price, per_units=lot) for above, price, lot in tiers]
    return pb.Allowance(meter=meter, title=title, per=per, included=included, unit=unit, tiers=found)


PLANS = (
    pb.Plan(
        name="free",
        title="Free",
        help="A sealed mailbox.",
        allowances=[
            allowance_of("storage_bytes", 1 << 30),
            allowance_of("sends", 150),
            allowance_of("api_operations", 5000),
        ],
    ),
    pb.Plan(
        name="personal",
        title="Personal",
        help="Room for years of mail, and addresses for every purpose.",
        price=300,
        trial_days=14,
        allowances=[
            allowance_of("storage_bytes", 15 << 30),
            allowance_of("sends", 500),
            allowance_of("api_operations", 50_000),
            allowance_of("addresses", 10),
        ],
    ),
    pb.Plan(
        name="business",
        title="Business",
        help="For those who live by mail.",
        price=900,
        trial_days=14,
        allowances=[
            allowance_of("storage_bytes", 100 << 30),
            allowance_of("sends", 2000),
            allowance_of("mails_delivered", 25_000, ((0, 70, 1000), (100_000, 50, 1000))),
            allowance_of("api_operations", -1),
        ],
    ),
)


def plan_of(name: str) -> pb.Plan:
    """Return the plan of this name."""
    return next(plan for plan in PLANS if plan.name == name)
