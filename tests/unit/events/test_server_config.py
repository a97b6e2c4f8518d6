"""The server's configuration: least rights, no anonymous, durable acknowledgements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nats.js.api import StorageType

from libs.docstore.store import Event
from libs.events.envelope import event_of, headers_of
from libs.events.server_config import RIGHTS, NatsServer, Rights, permissions, server_config
from libs.events.streams import FILE_BYTES, MAIL, MEMORY_BYTES, STREAMS, stream_of
from libs.runtime.secret import Secret

PASSWORD = Secret("0123456789abcdef")


def config_of(**passwords: Secret[str]) -> str:
    return server_config(NatsServer(4222, Path("/data"), Path("/tls"), passwords))


def test_everything_durable_encrypted_and_authenticated() -> None:
    config = json.loads(config_of(storage=PASSWORD, gateway=PASSWORD))
    assert config["jetstream"]["sync_interval"] == "always"
    assert config["tls"]["verify"] is True
    assert config["host"] == "127.0.0.1"
    assert {user["user"] for user in config["authorization"]["users"]} == {"storage", "gateway"}
    assert all(user["permissions"] and user["password"] for user in config["authorization"]["users"])
    assert "http" not in config
    watched = NatsServer(4222, Path("/data"), Path("/tls"), {}, monitor_port=8222)
    assert json.loads(server_config(watched))["http"] == "127.0.0.1:8222"


def test_a_publisher_may_publish_and_describe_its_stream() -> None:
    assert permissions("storage", RIGHTS["storage"]) == {
        "publish": {
            "allow": [
                "mail.stored.v1",
                "$JS.API.STREAM.CREATE.MAIL",
                "$JS.API.STREAM.UPDATE.MAIL",
                "$JS.API.STREAM.INFO.MAIL",
            ]
        },
        "subscribe": {"allow": ["_INBOX.storage.>"]},
    }


def test_a_listener_may_listen_and_nothing_else() -> None:
    assert permissions("gateway", Rights(listens=("mail.stored.v1",))) == {
        "publish": {"deny": [">"]},
        "subscribe": {"allow": ["mail.stored.v1", "_INBOX.gateway.>"]},
    }


def test_who_records_facts_may_tell_them_and_share_salts_but_read_none() -> None:
    assert permissions("ingest", RIGHTS["ingest"]) == {
        "publish": {
            "allow": [
                "facts.*",
                "salts.*",
                "$JS.API.DIRECT.GET.SALTS.salts.*",
                *(f"$JS.API.STREAM.{verb}.FACTS" for verb in ("CREATE", "UPDATE", "INFO")),
                *(f"$JS.API.STREAM.{verb}.SALTS" for verb in ("CREATE", "UPDATE", "INFO")),
            ]
        },
        "subscribe": {"allow": ["_INBOX.ingest.>", "counted.*"]},
    }


def test_who_counts_facts_may_read_them_but_no_salt() -> None:
    allowed = permissions("analytics", RIGHTS["analytics"])
    assert allowed["subscribe"] == {"allow": ["_INBOX.analytics.>"]}
    publish = allowed["publish"]
    assert isinstance(publish, dict)
    assert [right for right in publish["allow"] if "SALTS" in right or "salts" in right] == [
        "$JS.API.STREAM.PURGE.SALTS"
    ]
    assert not [right for right in publish["allow"] if right.startswith("facts") or "ACK" in right or ">" in right]


def test_streams_in_memory_fit_into_it_and_stay_there() -> None:
    held = [stream for stream in STREAMS if stream.in_memory]
    assert {stream.name for stream in held} == {"FACTS", "SALTS", "UNITS"}
    assert sum(stream.max_bytes for stream in held) < MEMORY_BYTES
    assert json.loads(config_of())["jetstream"]["max_memory_store"] == MEMORY_BYTES
    assert all(stream.config(3).storage == StorageType.MEMORY for stream in held)
    assert all(stream.config(1).storage == StorageType.FILE for stream in STREAMS if not stream.in_memory)


def test_streams_in_files_fit_twice() -> None:
    held = [stream for stream in STREAMS if not stream.in_memory]
    assert 2 * sum(stream.max_bytes for stream in held) <= FILE_BYTES
    assert json.loads(config_of())["jetstream"]["max_file_store"] == FILE_BYTES


def test_a_consumer_may_use_its_own_consumer() -> None:
    assert permissions("billing", Rights(consumes={"bills": "mail.stored.v1"})) == {
        "publish": {
            "allow": [
                "$JS.API.STREAM.CREATE.MAIL",
                "$JS.API.STREAM.UPDATE.MAIL",
                "$JS.API.STREAM.INFO.MAIL",
                "$JS.API.CONSUMER.CREATE.MAIL.bills.mail.stored.v1",
                "$JS.API.CONSUMER.INFO.MAIL.bills",
                "$JS.API.CONSUMER.MSG.NEXT.MAIL.bills",
                "$JS.ACK.MAIL.bills.>",
            ]
        },
        "subscribe": {"allow": ["_INBOX.billing.>"]},
    }


@pytest.mark.parametrize("password", ["short", 'quoted"0123456789', "", "0123456789abcdef\n"])
def test_a_bad_password_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(ValueError, match="storage") as caught:
        config_of(storage=Secret(password))
    assert password[:8] == "" or password[:8] not in str(caught.value)


def test_a_user_without_rights_is_refused() -> None:
    with pytest.raises(ValueError, match="crypto"):
        config_of(crypto=PASSWORD)


def test_every_subject_has_its_stream() -> None:
    assert stream_of("mail.stored.v1") is MAIL
    config = MAIL.config(3)
    assert (config.num_replicas, config.subjects) == (3, ["mail.>"])
    with pytest.raises(ValueError, match="stream"):
        stream_of("mailx.stored")


def test_headers_carry_id_and_trace() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = headers_of(Event("e1", "mail.stored.v1", b"x", trace))
    assert headers == {"Nats-Msg-Id": "e1", "traceparent": trace}
    event = event_of("mail.stored.v1", headers, b"x")
    assert event is not None
    assert (event, event.trace) == (Event("e1", "mail.stored.v1", b"x"), trace)
    assert event_of("mail.stored.v1", None, b"") is None
    assert event_of("mail.stored.v1", {"Nats-Msg-Id": "x" * 101}, b"") is None
    assert event_of("mail.stored.v1", {"Nats-Msg-Id": "é"}, b"") is None
