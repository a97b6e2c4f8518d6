"""Text of the environment to typed values: one table of parsers, and complaints that repeat nothing of what they found.

A rejected value may be a password typed into the wrong variable, so a complaint says what was expected, that is all.
"""

from __future__ import annotations

import datetime
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from libs.runtime.secret import Secret

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_SECRET_FILE_LIMIT = 65536


class Complaint(ValueError):  # noqa: N818 - it is collected, not raised to anybody outside
    """What was expected, without what was found."""


def parse(kind: Any, text: str) -> Any:
    """Return `text` as a value of type `kind`. Raises Complaint; TypeError where `kind` is none of ours."""
    text = text.strip()
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        return None if text == "" else parse(inner_of_optional(kind), text)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(parse(arguments[0], part) for part in text.split(",") if part.strip())
    if origin in (Mapping, dict):
        return _pairs(arguments[1], text)
    if origin is Secret:
        return Secret(_secret(arguments[0], text))
    return _scalar_parser(kind)(text)


def inner_of_optional(kind: Any) -> Any:
    """Return X for `X | None`, and any other type as it is."""
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind
    inner = [part for part in typing.get_args(kind) if part is not types.NoneType]
    if len(inner) != 1:
        raise TypeError("a setting is of one type, or of one type or None")
    return inner[0]


def is_secret(kind: Any) -> bool:
    """Tell whether a setting of this type comes from a file."""
    return typing.get_origin(inner_of_optional(kind)) is Secret


def read_secret_file(path: str) -> str:
    """Return the content of a small file. Raises Complaint, which names neither the path nor the content."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_SECRET_FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise Complaint(f"the file cannot be read ({type(error).__name__})") from None
    if len(data) > _SECRET_FILE_LIMIT:
        raise Complaint(f"the file is larger than {_SECRET_FILE_LIMIT} bytes")
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Complaint("the file is not UTF-8 text") from None


def type_name(kind: Any) -> str:
    """Return how --help calls the type."""
    inner = inner_of_optional(kind)
    origin, arguments = typing.get_origin(inner), typing.get_args(inner)
    if origin is Secret:
        return "file (hex)" if arguments[0] is bytes else "file"
    if origin is tuple:
        return f"{type_name(arguments[0])}, ..."
    if origin in (Mapping, dict):
        return f"name={type_name(arguments[1])}, ..."
    names: dict[Any, str] = {datetime.timedelta: "seconds", Path: "path", str: "text"}
    return names[inner] if inner in names else str(inner.__name__)


def _pairs(kind: Any, text: str) -> Mapping[str, Any]:
    pairs: dict[str, Any] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, separator, value = part.partition("=")
        name = name.strip()
        if not separator or not name or not value.strip():
            raise Complaint("expected name=value, name=value, ...")
        if name in pairs:
            raise Complaint("a name stands twice")
        pairs[name] = parse(kind, value)
    return types.MappingProxyType(pairs)


def _secret(kind: Any, text: str) -> str | bytes:
    if kind is str:
        return text
    if kind is not bytes:
        raise TypeError("a secret setting is Secret[str] or Secret[bytes]")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Complaint("the file must hold hexadecimal digits") from None


def _scalar_parser(kind: Any) -> Callable[[str], Any]:
    parsers: dict[Any, Callable[[str], Any]] = {
        str: str,
        int: _int,
        float: _float,
        bool: _bool,
        Path: _path,
        datetime.timedelta: _seconds,
    }
    if kind not in parsers:
        raise TypeError(f"no parser for settings of type {kind!r}")
    return parsers[kind]


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Complaint("expected a whole number") from None


def _float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Complaint("expected a number") from None
    if not math.isfinite(number):
        raise Complaint("expected a finite number")
    return number


def _bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise Complaint("expected true or false")


def _path(text: str) -> Path:
    if not text:
        raise Complaint("expected a path")
    return Path(text)


def _seconds(text: str) -> datetime.timedelta:
    number = _float(text)
    if number < 0:
        raise Complaint("expected seconds, not below 0")
    try:
        return datetime.timedelta(seconds=number)
    except OverflowError:
        raise Complaint("expected seconds, fewer than that") from None
