"""Mails that arrive, and what of them arrives."""

from __future__ import annotations

from services.delivery.domain.model import Result
from tests.support.remote_mta import EXTENSIONS
from tests.unit.delivery.transport.site import CONTENT, make_site


async def test_a_mail_arrives_as_it_is() -> None:
    async with make_site() as site:
        outcome = await site.send_one()
    assert (outcome.result, outcome.code, outcome.status) == (Result.DELIVERED, 250, "2.0.0")
    assert outcome.host == "mx1.remote.test"
    assert "taken" in outcome.text
    (received,) = site.mta.mails
    assert received.content == CONTENT
    assert received.mail_from == "b-token@bounces.sealpost.test"
    assert received.recipients == ("bob@remote.test",)
    assert received.hello == "mx.sealpost.test"
