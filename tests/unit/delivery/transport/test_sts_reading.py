"""Reading MTA-STS policies (RFC 8461 3.2)."""

from __future__ import annotations

import pytest

from services.delivery.transport.sts import parse_policy

GOOD = b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 86400\n"


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (GOOD, True),
        (GOOD.replace(b"\n", b"\r\n"), True),
        (GOOD + b"extension: whatever\n\n", True),
        (b"version: STSv1\nmode: none\nmax_age: 86400\n", True),
        (GOOD.replace(b"STSv1", b"STSv2"), False),
        (GOOD.replace(b"enforce", b"enforced"), False),
        (GOOD.replace(b"mx: a.test\n", b""), False),
        (GOOD.replace(b"a.test", b"a b.test"), False),
        (GOOD.replace(b"a.test", b"*.*.test"), False),
        (GOOD.replace(b"86400", b"-1"), False),
        (GOOD.replace(b"86400", b"soon"), False),
        (GOOD.replace(b"86400", "\u0661".encode()), False),
        (GOOD.replace(b"mx: a.test\n", b"mx: a.test\n" * 500), False),
        (b"", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_policies_are_read(body: bytes, good: bool) -> None:
    assert (parse_policy(body, "one", 1000) is not None) == good


@pytest.mark.parametrize(("age", "lasts"), [("0", 60), ("86400", 86400), ("9999999999", 31_557_600)])
def test_the_life_of_a_policy_is_bounded(age: str, lasts: int) -> None:
    policy = parse_policy(GOOD.replace(b"86400", age.encode()), "one", 1000)
    assert policy is not None
    assert policy.expires == 1000 + lasts
