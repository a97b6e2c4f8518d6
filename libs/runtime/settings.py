"""Settings: a frozen dataclass per service, filled from `SEALPOST_*` variables, complete or not at all.

Every field becomes one variable. Faults are collected and told all at once, so that one restart mends them all. An
unknown `SEALPOST_*` variable is a fault too: a mistyped retention period must stop the process, not silently become the
default. Secrets come from files (`SEALPOST_<NAME>_FILE`), for the environment of a process is read by too many.

    @dataclass(frozen=True, kw_only=True)
    class Settings(CommonSettings):
        max_message_bytes: int = setting(default=52_428_800, low=1024, help="largest mail accepted, in bytes")
        kek: Secret[bytes] = setting(help="key-encryption key, 32 bytes in hexadecimal digits")
"""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from libs.runtime import parsing
from libs.runtime.secret import Secret

PREFIX = "SEALPOST_"
T = TypeVar("T")
_META = "sealpost"
_TLS_DIR = Path("/etc/sealpost/tls")
_NO_SECRET: Secret[str] = Secret("")


class SettingsError(Exception):
    """The settings do not allow a start. `faults` names each fault by its variable; no text repeats a value."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Take the faults, one line each."""
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class _Meta:
    help: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...]
    inline: bool


def setting(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] = (),
) -> Any:
    """Return a dataclass field that `load` fills.

    Without a default the variable is required. `low` and `high` bound numbers, inclusive (seconds for a timedelta);
    `choices` lists all allowed values.
    """
    return _field(default, _Meta(help, low, high, tuple(choices), inline=False))


def secret_text(default: Secret[str], *, help: str) -> Any:
    """Return a field for a Secret[str] that may also stand in the variable itself."""
    return _field(default, _Meta(help, None, None, (), inline=True))


def _field(default: Any, meta: _Meta) -> Any:
    if isinstance(default, Mapping):
        unchanging = types.MappingProxyType(default)
        return dataclasses.field(default_factory=lambda: unchanging, metadata={_META: meta}, kw_only=True)
    return dataclasses.field(default=default, metadata={_META: meta}, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """What every service takes."""

    grpc_address: str = setting("127.0.0.1:0", help="listen address of the gRPC server; empty: none")
    metrics_address: str = setting("127.0.0.1:0", help="listen address of /metrics, /livez and /readyz; empty: none")
    tls_dir: Path = setting(_TLS_DIR, help="directory of ca.crt, tls.crt and tls.key")
    peers: Mapping[str, str] = setting({}, help="addresses of the services that this one calls")
    callers: tuple[str, ...] = setting((), help="services that may call this one")
    nats_url: str = setting("", help="NATS server; empty: none")
    nats_user: str = setting("", help="user at the NATS server")
    nats_password: Secret[str] = setting(_NO_SECRET, help="password at the NATS server")
    store: Secret[str] = secret_text(_NO_SECRET, help="sqlite:<directory> or mongodb://...")  # noqa: RUF009
    policy_overrides: Path | None = setting(None, help="rules that the operator gives other values, a YAML file")
    otlp_endpoint: str = setting("", help="OpenTelemetry collector (gRPC) for traces; empty: off")
    drain_seconds: float = setting(20.0, low=0, high=600, help="longest time to finish what is under way at a stop")


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Return a `cls` made from the `SEALPOST_*` entries of `environ`; others are not looked at.

    Raises SettingsError with every fault found. `cls.__post_init__` may raise it too, for rules across fields.
    """
    kinds = typing.get_type_hints(cls)
    faults: list[str] = []
    known: set[str] = set()
    values: dict[str, Any] = {}
    for field in _fields(cls):
        kind = kinds[field.name]
        known.update(_variables(field, kind))
        try:
            text = _find(field, kind, environ)
            if text is not None:
                values[field.name] = _checked(_meta(field), parsing.parse(kind, text))
            elif _is_required(field):
                raise parsing.Complaint(f"is required: {_meta(field).help}")
        except parsing.Complaint as complaint:
            faults.append(f"{_variables(field, kind)[0]}: {complaint}")
    faults += [f"{name}: unknown variable" for name in sorted(environ) if name.startswith(PREFIX) and name not in known]
    if faults:
        raise SettingsError(faults)
    return cls(**values)


def listen_address(variable: str, address: str) -> tuple[str, int]:
    """Return host and port of "host:port" or "[v6 address]:port". Raises SettingsError that names `variable`."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise SettingsError([f"{variable}: expected host:port"])
    return host.removeprefix("[").removesuffix("]"), int(port)


def describe(cls: type[Any]) -> str:
    """Return the table of settings that --help prints: variable, type, default, meaning."""
    kinds = typing.get_type_hints(cls)
    rows = [("variable", "type", "default", "meaning")]
    for field in _fields(cls):
        kind = kinds[field.name]
        meta = _meta(field)
        variable = _variables(field, kind)[-1]
        type_name = f"text, or {variable}_FILE" if meta.inline else parsing.type_name(kind)
        rows.append((variable, type_name, _default_text(field), _meaning(meta)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows
    )


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    fields = dataclasses.fields(cls)
    for field in fields:
        if _META not in field.metadata:
            raise TypeError(f"{cls.__name__}.{field.name} is not made with setting()")
    return fields


def _meta(field: dataclasses.Field[Any]) -> _Meta:
    meta: _Meta = field.metadata[_META]
    return meta


def _variables(field: dataclasses.Field[Any], kind: Any) -> tuple[str, ...]:
    name = PREFIX + field.name.upper()
    if not parsing.is_secret(kind):
        return (name,)
    return (name + "_FILE", name) if _meta(field).inline else (name + "_FILE",)


def _find(field: dataclasses.Field[Any], kind: Any, environ: Mapping[str, str]) -> str | None:
    given = [name for name in _variables(field, kind) if name in environ]
    if not given:
        return None
    if len(given) > 1:
        raise parsing.Complaint(f"give either this or {given[1]}")
    text = environ[given[0]]
    if not parsing.is_secret(kind) or not given[0].endswith("_FILE"):
        return text
    content = parsing.read_secret_file(text)
    if not content:
        raise parsing.Complaint("the file is empty")
    return content


def _checked(meta: _Meta, value: Any) -> Any:
    """Return `value`; of several, each has to be within the bounds."""
    ones = value if isinstance(value, tuple) else (value,)
    checks: tuple[tuple[Any, Callable[[Any], bool], str], ...] = (
        (meta.low, lambda number: number < meta.low, f"must be at least {meta.low}"),
        (meta.high, lambda number: number > meta.high, f"must be at most {meta.high}"),
    )
    for bound, passes, complaint in checks:
        numbers = [one.total_seconds() if isinstance(one, datetime.timedelta) else one for one in ones]
        if bound is not None and any(number is not None and passes(number) for number in numbers):
            raise parsing.Complaint(complaint)
    if meta.choices:
        for one in ones:
            if one not in meta.choices:
                raise parsing.Complaint("must be one of " + ", ".join(str(choice) for choice in meta.choices))
    return value


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default_text(field: dataclasses.Field[Any]) -> str:
    if _is_required(field):
        return "(required)"
    default = field.default if field.default is not dataclasses.MISSING else {}
    if isinstance(default, Secret):
        return "(none)"
    if isinstance(default, datetime.timedelta):
        return f"{default.total_seconds():g}"
    if isinstance(default, tuple):
        default = ",".join(str(part) for part in default)
    return "(none)" if default in ("", None, {}) else str(default)


def _meaning(meta: _Meta) -> str:
    parts = [meta.help]
    if meta.low is not None or meta.high is not None:
        parts.append(f"[{'' if meta.low is None else meta.low} .. {'' if meta.high is None else meta.high}]")
    if meta.choices:
        parts.append("one of " + ", ".join(str(choice) for choice in meta.choices))
    return "; ".join(parts)
