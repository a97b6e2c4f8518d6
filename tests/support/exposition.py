"""What the platform shows to Prometheus, and whether each label says a word that its metric has declared."""

from __future__ import annotations

import importlib
import ipaddress
import pkgutil
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

from grpc_health.v1 import health_pb2
from prometheus_client.parser import text_string_to_metric_families

import libs
import services
from libs.telemetry import metrics
from tests.support.ledger_procs import metrics as page_of
from tests.support.ledger_procs import pids
from tests.support.platform import ROOT, RunningPlatform

# Bounds of buckets are the exposition's own.
_BOUND = "le"
# Services name their health checks at their start.
_CHECK = re.compile(r"[a-z][a-z0-9_-]{0,30}")


def pages(platform: RunningPlatform) -> dict[str, str]:
    """Return the metrics page of each service that runs."""
    return {name: page_of(platform, name) for name in pids(platform) if name != "nats"}


def vocabularies() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return what the labels of each of our metrics may say, from the declarations of all modules."""
    modules = [importlib.import_module(name) for package in (libs, services) for name in _modules(package)]
    assert modules
    methods = frozenset(_methods())
    return {
        name: {label: words | methods if label == "method" else words for label, words in labels.items()}
        for name, labels in metrics.vocabularies().items()
    }


def faults(page: str, declared: Mapping[str, Mapping[str, frozenset[str]]]) -> set[str]:
    """Return what is wrong with the labels of a page."""
    found = set()
    for family in text_string_to_metric_families(page):
        # When a counter began is shown as a family of its own.
        name = family.name.removesuffix("_created")
        vocabulary = declared.get(name, declared.get(f"{name}_total", {}))
        for sample in family.samples:
            for label, value in sample.labels.items():
                if not _is_right(label, value, vocabulary):
                    found.add(f"{name}: {label}")
    return found


def _is_right(label: str, value: str, vocabulary: Mapping[str, frozenset[str]]) -> bool:
    if label == _BOUND:
        return _is_number(value)
    if label not in vocabulary or "@" in value or _is_address(value):
        return False
    return value in vocabulary[label] or (label == "check" and _CHECK.fullmatch(value) is not None)


def _methods() -> Iterator[str]:
    """Yield the names of all RPCs, ours and those of health checks."""
    ours = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("protos/*/v1/*_pb2.py")]
    for module in (*ours, health_pb2.__name__):
        for service in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            yield from (f"{service.full_name}/{method.name}" for method in service.methods)


def _modules(package: ModuleType) -> Iterator[str]:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            yield module.name


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
