"""Whether a wrong log field, label or span attribute raises (tests, tools) or is dropped and counted (services).

A service must not fail a mail because somebody misnamed a field; a test must fail for exactly that. run_service turns
strictness off, nothing else does.
"""

from __future__ import annotations

_strict = True


def is_strict() -> bool:
    """Tell whether misuse of telemetry raises."""
    return _strict


def set_strict(strict: bool) -> None:
    """Choose for the whole process."""
    global _strict
    _strict = strict
