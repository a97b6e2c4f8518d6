"""What is said about who can read a mail, held against what the services do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from libs.mailbox import copies
from libs.mailbox.model import PublicDay, Route, Standing
from protos.events.v1 import events_pb2
from protos.storage.v1 import storage_pb2
from services.gateway import readers
from services.storage import repository
from services.storage.domain import NewMessage
from tests.unit.gateway.fakes import MESSAGE, Gateway, stored_message

# How the fields of a stored document are told: several of them are the same thing in another index.
TOLD_AS = {
    "mailbox": "mailbox_id",
    "message": "message_id",
    "listed": "message_id",
    "minute": "received_minute",
    "body_id": "body",
    "free_expiry": "expires_at",
    "counted_expiry": "expires_at",
    # Of the copy's own storing: whether the quota counts it, and when an unfinished delivery is looked after.
    "counted": "size",
    "settle_at": "delivery",
    # Of a copy of an unfinished delivery: the mailbox once more, for its erasure.
    "waiting": "mailbox_id",
}


def told(form: str | None = None) -> set[str]:
    return {entry.field for entry in readers.stored_fields("") if form in (None, entry.form)}


@pytest.mark.parametrize("expires_at", [0, 1_800_000_000])
@pytest.mark.parametrize("body_id", ["", "b" * 32])
def test_every_field_of_a_stored_document_is_told(expires_at: int, body_id: str) -> None:
    message = NewMessage(
        mailbox_id="a" * 32, message_id="0" * 32, received_minute=1, size=1, scheme="openpgp", envelope=b"x", body=b"x",
        expires_at=expires_at, key_id="k", keep_newest=6,
    )  # fmt: skip
    fields = repository.new_fields(message, "inbox", body_id, 1)
    shown = repository.insert_shown("key", fields)
    staged = repository.insert_staged("key", fields, "d" * 32, 1)
    kept = set(shown.body) | set(staged.body) | set(repository.shown({**fields, "counted": True}))
    assert {TOLD_AS.get(name, name) for name in kept} <= told()
    assert {"delivery", "announcement"} | {TOLD_AS.get(name, name) for name in kept} | {"expires_at"} == told()
    assert told("sealed") == {"envelope", "body"}


def test_what_storage_hands_out_is_told() -> None:
    assert {field.name for field in storage_pb2.Message.DESCRIPTOR.fields} <= told()


def test_the_announcement_holds_what_is_said_of_it() -> None:
    fields = {field.name for field in events_pb2.MailStored.DESCRIPTOR.fields}
    (said,) = [entry.why for entry in readers.stored_fields("") if entry.field == "announcement"]
    assert fields == {"mailbox_id", "message_id", "folder", "size_class", "owned"}
    for name in fields - {"size_class"}:
        assert name in said
    assert "power of ten" in said


@pytest.mark.parametrize("at", ["2026-11-22T00:00:00", "2026-11-22T17:00:30", "2026-12-31T23:59:59"])
@pytest.mark.parametrize("retention", [60, 345_600])
def test_the_key_ends_when_ingest_asks_for_it(at: str, retention: int) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    route = Route(Standing.OK, mailbox_id="b" * 32, domain="public.test", retention_seconds=retention)
    day = copies.owner(route, now)
    assert isinstance(day, PublicDay)
    minute = int(now.timestamp()) // 60
    message = stored_message(received_minute=minute, expires_at=minute * 60 + retention)
    told_end = readers.key_destroyed_after(message)
    assert told_end == datetime.fromtimestamp(day.destroy_after, UTC)
    assert f"{told_end:%Y-%m-%d}" in readers.of_public(message).deletion


def test_without_an_end_no_end_is_promised() -> None:
    assert readers.key_destroyed_after(stored_message(expires_at=0)) is None
    assert "not destroyed" in readers.of_public(stored_message(expires_at=0)).deletion


def test_who_saw_plaintext() -> None:
    member = readers.of_member(stored_message()).services
    public = readers.of_public(stored_message()).services
    for services in (member, public):
        assert {one.name for one in services if one.saw == "plaintext"} == {"ingest", "crypto", "delivery", "gateway"}
        assert {"ingest", "accounts", "crypto", "storage", "gateway", "delivery"} <= {one.name for one in services}
        assert "plaintext" not in {one.saw for one in services if one.name in ("storage", "accounts")}


def test_of_a_mail_that_its_sender_sealed_nobody_here_saw_plaintext() -> None:
    told_of = readers.of_member(stored_message(scheme=readers.BY_SENDER))
    assert {one.saw for one in told_of.services} == {"ciphertext", "routing"}
    assert not {"ingest", "crypto", "DNS servers"} & {one.name for one in told_of.services}
    assert not any("mail servers" in holder.who for holder in told_of.key_holders)


async def test_the_answers(site: Gateway) -> None:
    site.sign_in()
    site.storage.messages["a" * 32] = [stored_message(key_id="f" * 40)]
    member = (await site.client.get(f"/v1/messages/{MESSAGE}/readers")).json()
    assert "f" * 40 in member["key_holders"][0]["who"] and member["expires"] is None
    site.storage.messages["b" * 32] = [stored_message(expires_at=29_000_000 * 60 + 60)]
    public = (await site.client.get(f"/v1/public/x@public.test/messages/{MESSAGE}/readers")).json()
    assert public["key_holders"][0]["who"] == "everybody"
    expected = datetime.fromtimestamp(29_000_000 * 60, UTC) + timedelta(seconds=60)
    assert public["expires"] == f"{expected:%Y-%m-%dT%H:%M:%SZ}"
    for answer in (member, public):
        assert [entry["form"] for entry in answer["stored"]][:2] == ["sealed", "sealed"]
        assert all(len(entry["why"]) > 10 for entry in answer["stored"])


def test_nothing_here_has_seen_open_what_its_sender_has_sealed() -> None:
    said = readers.of_member(storage_pb2.Message(scheme=readers.BY_SENDER, key_id="f" * 40))
    assert {service.saw for service in said.services} == {"ciphertext", "routing"}
    assert "ingest" not in {service.name for service in said.services}
