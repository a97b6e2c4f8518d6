"""Grant as it is asked for and answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from protos.common.v1 import common_pb2
from services.billing.allowance.rpc import grant
from tests.unit.billing.allowance.support import world

SEALED = common_pb2.PROFILE_SEALED


def item(meter: str = "sends", wanted: int = 0, profile: common_pb2.Profile.ValueType = SEALED) -> pb.GrantItem:
    return pb.GrantItem(account_id="a", mailbox_id="m", profile=profile, meter=meter, wanted=wanted)


async def test_an_answer_tells_units_limits_and_failures_in_order(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        asked = pb.GrantRequest(
            items=[
                item("addresses", 1),
                item(wanted=2),
                item(wanted=1, profile=common_pb2.PROFILE_UNSPECIFIED),
                item("nothing"),
                item(""),
                item(wanted=501),
            ]
        )
        results = (await grant(here.grants, asked)).results
        assert [one.failure.reason for one in results] == ["meter", "", "profile", "meter", "", ""]
        assert [one.granted for one in results] == [0, 7, 0, 0, 0, 0]
        assert results[5].refusal == "allowance_used"
        limits = results[4].limits
        assert (limits.storage_bytes, limits.addresses, limits.read_only) == (1000, -2, False)
        assert (limits.sends_per_day, limits.api_operations_per_day) == (500, 20_000)
        with pytest.raises(InvalidError):
            await grant(here.grants, pb.GrantRequest(items=[item()] * 501))
