"""The settings and the table of replies."""

from __future__ import annotations

import re

import pytest

from libs.runtime.errors import BY_CODE, ExhaustedError, InvalidError
from libs.runtime.settings import SettingsError, describe, load
from services.ingest import meters, replies
from services.ingest.settings import Settings, split_address
from services.ingest.site import client_address


def test_the_defaults_stand() -> None:
    settings = load(Settings, {})
    assert settings.smtp_address == "127.0.0.1:2525"
    assert settings.max_message_bytes == 50 * 1024 * 1024
    assert "SEALPOST_RESOLVERS" in describe(Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOSTNAME", "mx sealpost"),
        ("HOSTNAME", "mx.sealpost.test\r\nX: y"),
        ("HOSTNAME", ""),
        ("SMTP_ADDRESS", "2525"),
        ("SMTP_ADDRESS", "localhost:smtp"),
        ("SMTP_ADDRESS", "localhost:99999"),
        ("EXEMPT_NETWORKS", "10.0.0.1/8"),
        ("EXEMPT_NETWORKS", "everybody"),
        ("ADMISSION_BYTES", "60000000"),
        ("SUBMISSION_ADDRESS", "2587"),
        ("SUBMISSION_ADDRESS", "127.0.0.1:2587"),
        ("SUBMISSIONS_ADDRESS", "127.0.0.1"),
        ("SUBMISSIONS_ADDRESS", "127.0.0.1:2465"),
        ("BOUNCE_DOMAIN", "bounces sealpost"),
        ("RELAY_RECIPIENTS", "1001"),
        ("WRONG_PROOF_SECONDS", "-1"),
        ("WORKERS", "0"),
        ("MAX_RECIPIENTS", "10"),
        ("IDLE_SECONDS", "0"),
    ],
)
def test_wrong_settings_stop_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {f"SEALPOST_{name}": value})
    assert f"SEALPOST_{name}" in str(caught.value)


def test_submission_is_off_until_it_has_an_address_and_a_certificate() -> None:
    settings = load(Settings, {})
    assert (settings.submission_address, settings.submissions_address, settings.bounce_domain) == ("", "", "")
    environ = {f"SEALPOST_{name}_ADDRESS": "127.0.0.1:0" for name in ("SUBMISSION", "SUBMISSIONS")}
    assert load(Settings, {**environ, "SEALPOST_SMTP_TLS_DIR": "tls"}).submissions_address == "127.0.0.1:0"


def test_addresses_to_listen_on() -> None:
    assert split_address("[::1]:25") == ("::1", 25)
    assert split_address("mx.sealpost.test:2525") == ("mx.sealpost.test", 2525)


def test_every_reply_has_its_codes_and_fits_a_line() -> None:
    texts = [
        value for name, value in vars(replies).items() if name.isupper() and isinstance(value, str) and " " in value
    ]
    assert len(texts) > 30
    for text in texts:
        assert re.fullmatch(r"[2345][0-9]{2} (?:([245])\.[0-9]\.[0-9]{1,2} )?[ -~]+", text), text
        enhanced = text[4:5]
        assert text.startswith("354") or enhanced == text[0], text
        assert len(text) <= 510


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_error_of_the_tree_has_a_reply_and_a_word(code: str) -> None:
    error = BY_CODE[code]("some_reason")
    assert replies.for_error(error).startswith("4"), "temporary, for what nobody thought of"
    assert replies.for_submission(error).startswith("550 5.7.1" if code == "denied" else "4")
    meters.RECEIVED.mails.inc(outcome=meters.outcome_of(error))


def test_what_a_mail_itself_is_refused_for_is_for_good() -> None:
    assert replies.for_error(InvalidError("loop")) == replies.LOOP
    assert replies.for_error(InvalidError("results")) == replies.TOO_MANY_RESULTS
    assert replies.for_error(ExhaustedError("quota_bytes")) == replies.MAILBOX_FULL
    assert replies.for_error(RuntimeError("secret")) == replies.TRY_LATER
    assert replies.for_submission(RuntimeError("secret")) == replies.TRY_LATER
    assert replies.for_submission(InvalidError("loop")) == replies.LOOP


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 25), "192.0.2.1"),
        (("2001:db8::1", 25, 0, 0), "2001:db8::1"),
        (("fe80::1%eth0", 25, 0, 2), "fe80::1"),
        (("::ffff:192.0.2.1", 25, 0, 0), "192.0.2.1"),
        ("", "0.0.0.0"),
        (None, "0.0.0.0"),
    ],
)
def test_addresses_of_clients(peername: object, address: str) -> None:
    assert client_address(peername) == address
