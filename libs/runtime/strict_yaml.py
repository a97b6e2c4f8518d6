"""Reads a YAML file that a person wrote and a machine must not misread: bounded, and no key twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast, where it exists
_LARGEST = 1 << 20


class YamlError(Exception):
    """The file is none that can be taken; the text names it and the fault."""


class _Loader(_YAML):  # type: ignore[misc]
    """Refuses a key that stands twice, which YAML readers otherwise silently let win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """Return the mapping of `node`."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} stands twice", node.start_mark)
        mapping: dict[str, Any] = super().construct_mapping(node, deep)
        return mapping


def read_mapping(file: Path) -> dict[str, Any]:
    """Return the mapping that `file` holds, of at most 1 MiB. Raises: YamlError."""
    try:
        content = file.read_bytes()
        if len(content) > _LARGEST:
            raise YamlError(f"{file.name}: larger than {_LARGEST} bytes")
        raw = yaml.load(content, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise YamlError(f"{file.name}: cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise YamlError(f"{file.name}: no YAML: {error}") from error
    if not isinstance(raw, dict):
        raise YamlError(f"{file.name}: a mapping is expected, not {type(raw).__name__}")
    return raw
