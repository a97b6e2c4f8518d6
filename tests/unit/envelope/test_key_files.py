"""What stands in key files opens what it sealed; a file without a key is named by its setting."""

from __future__ import annotations

import pytest

from libs.envelope import Secrets, open_keks, open_secrets, place_of
from libs.runtime.errors import InternalError
from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError

KEK, LOOKUP = Secret("0" * 64), Secret(b"l" * 32)
PLACE = place_of("things", "one", "content")


def _secrets() -> Secrets:
    return open_secrets(KEK, LOOKUP)


def test_another_process_opens_what_one_sealed_and_only_in_its_place() -> None:
    sealed = _secrets().vault.seal(PLACE, b"something")
    assert b"something" not in sealed
    assert _secrets().vault.open(PLACE, sealed) == b"something"
    assert _secrets().vault.seal(PLACE, b"something") != sealed
    for blob, place in ((sealed, place_of("things", "two", "content")), (sealed[:-1], PLACE), (b"", PLACE)):
        with pytest.raises(InternalError, match=r"^document_damaged$"):
            _secrets().vault.open(place, blob)


def test_hashes_are_alike_in_every_process() -> None:
    assert _secrets().hashes.digest("use", b"x") == _secrets().hashes.digest("use", b"x")


@pytest.mark.parametrize("text", ["", "0" * 63, "no key"])
def test_a_file_without_a_key_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="SEALPOST_KEK_FILE") as caught:
        open_keks(Secret(text))
    assert not text or text not in str(caught.value)
    with pytest.raises(SettingsError, match="SEALPOST_KEK_FILE"):
        open_secrets(Secret(text), LOOKUP)
    with pytest.raises(SettingsError, match="SEALPOST_LOOKUP_KEY_FILE"):
        open_secrets(KEK, Secret(b"short"))
