"""Settings are complete or refused, and a refusal names variables, never values."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, SettingsError, describe, listen_address, load, secret_text, setting


@dataclass(frozen=True, kw_only=True)
class Example:
    """One field of each type."""

    text: str = setting("fallback", help="a text")
    whole: int = setting(3, low=1, high=9, help="a number")
    ratio: float = setting(0.5, help="a ratio")
    on: bool = setting(False, help="a switch")
    path: Path = setting(Path("x"), help="a path")
    maybe: Path | None = setting(None, help="a path or none")
    names: tuple[str, ...] = setting((), help="names")
    ports: tuple[int, ...] = setting((), low=1, high=65535, help="ports")
    pairs: Mapping[str, str] = setting({}, help="pairs")
    pause: datetime.timedelta = setting(datetime.timedelta(seconds=2), low=1, help="a pause")
    colour: str = setting("red", choices=("red", "green"), help="a colour")
    key: Secret[bytes] = setting(Secret(b""), help="a key")
    word: Secret[str] = setting(Secret(""), help="a password")
    either: Secret[str] = secret_text(Secret(""), help="inline or file")  # noqa: RUF009


@dataclass(frozen=True, kw_only=True)
class Service(CommonSettings):
    """A service's settings."""

    kek: Secret[bytes] = setting(help="key-encryption key")
    bytes_at_once: int = setting(100, help="admission")


def faults(cls: type[object], environ: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(cls, environ)
    return caught.value.faults


def test_nothing_given_means_the_defaults() -> None:
    made = load(Example, {"PATH": "/bin", "OTHER_SEALPOST": "x"})
    assert (made.text, made.whole, made.on, made.names, made.pairs) == ("fallback", 3, False, (), {})


def test_of_several_each_is_within_the_bounds() -> None:
    assert load(Example, {"SEALPOST_PORTS": "1,65535"}).ports == (1, 65535)
    for ports in ("0", "443,0", "443,65536"):
        (fault,) = faults(Example, {"SEALPOST_PORTS": ports})
        assert "SEALPOST_PORTS" in fault and "must be at" in fault


def test_each_type_is_parsed() -> None:
    made = load(
        Example,
        {
            "SEALPOST_TEXT": " hello ",
            "SEALPOST_WHOLE": "7",
            "SEALPOST_RATIO": "1.25",
            "SEALPOST_ON": "Yes",
            "SEALPOST_PATH": "a/b",
            "SEALPOST_MAYBE": "c",
            "SEALPOST_NAMES": "one, two,",
            "SEALPOST_PORTS": "25,587",
            "SEALPOST_PAIRS": "a=127.0.0.1:1, b=[::1]:2",
            "SEALPOST_PAUSE": "1.5",
            "SEALPOST_COLOUR": "green",
        },
    )
    assert made == Example(
        text="hello",
        whole=7,
        ratio=1.25,
        on=True,
        path=Path("a/b"),
        maybe=Path("c"),
        names=("one", "two"),
        ports=(25, 587),
        pairs={"a": "127.0.0.1:1", "b": "[::1]:2"},
        pause=datetime.timedelta(seconds=1.5),
        colour="green",
        key=made.key,
        word=made.word,
        either=made.either,
    )


def test_an_empty_optional_is_none() -> None:
    assert load(Example, {"SEALPOST_MAYBE": ""}).maybe is None


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        load(Example, {}).text = "other"  # type: ignore[misc]


def test_all_faults_are_told_at_once_and_no_value_with_them() -> None:
    canary = "canary5ecret"
    told = faults(
        Example,
        {
            "SEALPOST_WHOLE": canary,
            "SEALPOST_RATIO": "nan",
            "SEALPOST_ON": canary,
            "SEALPOST_PATH": "",
            "SEALPOST_PAIRS": canary,
            "SEALPOST_PAUSE": "0.5",
            "SEALPOST_COLOUR": canary,
            "SEALPOST_KEY": canary,
            "SEALPOST_WORD_FILE": canary,
            "SEALPOST_RETENTOIN": canary,
        },
    )
    assert [fault.split(":")[0] for fault in told] == [
        "SEALPOST_WHOLE",
        "SEALPOST_RATIO",
        "SEALPOST_ON",
        "SEALPOST_PATH",
        "SEALPOST_PAIRS",
        "SEALPOST_PAUSE",
        "SEALPOST_COLOUR",
        "SEALPOST_WORD_FILE",
        "SEALPOST_KEY",
        "SEALPOST_RETENTOIN",
    ]
    assert canary not in " ".join(told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHOLE", "0"),
        ("WHOLE", "10"),
        ("WHOLE", "1.5"),
        ("RATIO", "inf"),
        ("PAUSE", "-1"),
        ("PAUSE", "1e300"),
        ("PAIRS", "a=1,a=2"),
        ("PAIRS", "=1"),
        ("PORTS", "25,x"),
    ],
)
def test_values_out_of_bounds_are_refused(name: str, value: str) -> None:
    assert len(faults(Example, {f"SEALPOST_{name}": value})) == 1


def test_secrets_come_from_files_and_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  00ff10\n")
    (tmp_path / "word").write_text("pass word\n")
    environ = {"SEALPOST_KEY_FILE": str(tmp_path / "key"), "SEALPOST_WORD_FILE": str(tmp_path / "word")}
    made = load(Example, environ)
    assert made.key.reveal() == b"\x00\xff\x10"
    assert made.word.reveal() == "pass word"
    assert "pass" not in repr(made)


@pytest.mark.parametrize(
    "content", [b"xyz canary", b"", b"\xff\xfe", b"00" * 40000], ids=["text", "empty", "raw", "huge"]
)
def test_a_file_without_a_key_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "canary").write_bytes(content)
    (told,) = faults(Example, {"SEALPOST_KEY_FILE": str(tmp_path / "canary")})
    assert told.startswith("SEALPOST_KEY_FILE: the file")
    assert "canary" not in told


def test_an_inline_secret_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("sqlite:b")
    path = str(tmp_path / "store")
    assert load(Example, {"SEALPOST_EITHER": "sqlite:a"}).either.reveal() == "sqlite:a"
    assert load(Example, {"SEALPOST_EITHER_FILE": path}).either.reveal() == "sqlite:b"
    assert len(faults(Example, {"SEALPOST_EITHER": "sqlite:a", "SEALPOST_EITHER_FILE": path})) == 1


def test_what_is_required_must_be_there() -> None:
    assert faults(Service, {}) == ("SEALPOST_KEK_FILE: is required: key-encryption key",)


def test_rules_across_fields_stand_in_the_class() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Range:
        least: int = setting(1, help="least")
        most: int = setting(2, help="most")

        def __post_init__(self) -> None:
            if self.least > self.most:
                raise SettingsError(["SEALPOST_LEAST: must not exceed SEALPOST_MOST"])

    assert len(faults(Range, {"SEALPOST_LEAST": "3"})) == 1


def test_a_field_without_description_is_a_fault_of_the_program() -> None:
    @dataclass(frozen=True)
    class Bare:
        text: str = ""

    with pytest.raises(TypeError):
        load(Bare, {})


def test_an_unknown_type_is_a_fault_of_the_program() -> None:
    @dataclass(frozen=True)
    class Odd:
        number: complex = setting(1j, help="odd")

    with pytest.raises(TypeError):
        load(Odd, {"SEALPOST_NUMBER": "1"})


def test_help_lists_every_variable_with_type_default_and_meaning() -> None:
    table = {line.split()[0]: line for line in describe(Service).splitlines()}
    assert "(required)" in table["SEALPOST_KEK_FILE"]
    assert "file (hex)" in table["SEALPOST_KEK_FILE"]
    assert "admission" in table["SEALPOST_BYTES_AT_ONCE"]
    assert "[0 .. 600]" in table["SEALPOST_DRAIN_SECONDS"]
    assert "SEALPOST_STORE_FILE" in table["SEALPOST_STORE"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_listen_addresses(address: str, expected: tuple[str, int]) -> None:
    assert listen_address("SEALPOST_X", address) == expected


@pytest.mark.parametrize("address", ["", "80", ":80", "host:", "host:x", "host:70000"])
def test_what_is_no_listen_address(address: str) -> None:
    with pytest.raises(SettingsError, match="SEALPOST_X"):
        listen_address("SEALPOST_X", address)
