"""Reads policy.yaml, which is part of the program: a fault in it stops the start."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from libs.policy.model import Policy

PATH = Path(__file__).with_name("policy.yaml")


class PolicyError(Exception):
    """policy.yaml does not say what it may; the text names each place and fault."""


@cache
def load_policy(path: Path = PATH) -> Policy:
    """Return the policy at `path`. Raises: PolicyError."""
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise PolicyError("; ".join(faults)) from error
    except yaml.YAMLError as error:
        raise PolicyError(f"no YAML: {error}") from error
