"""Metrics on prometheus-client, with labels whose every value is declared.

A label that takes any value is two faults at once: a memory leak, for each value is a series that never goes, and a
leak of what it names. So a metric is declared with its vocabulary, and a value outside of it becomes "other" (and
raises in tests). Declared once per process: the same declaration again returns the same metric.

Looking up a series costs one dictionary access: prometheus-client's own `labels()` is several times slower. Levels and
counts are changed where it keeps them, for its own methods check each time what cannot be wrong here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase

from libs.telemetry import mode

REGISTRY = CollectorRegistry()
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OTHER = "other"

_NAME = re.compile(r"sealpost_[a-z0-9_]{1,80}\Z")
_VALUE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]{0,79}\Z")
_MAX_SERIES = 2000
_NO_LABELS: Mapping[str, Sequence[str]] = {}

P = TypeVar("P", bound=MetricWrapperBase)


class _Metric(Generic[P]):
    def __init__(self, parent: P, labels: Mapping[str, Sequence[str]]) -> None:
        self._parent = parent
        self._vocabulary = {name: frozenset(values) for name, values in labels.items()}
        self._series: dict[tuple[tuple[str, str], ...], P] = {}

    def labels(self, **labels: str) -> P:
        """Return the series of prometheus-client for these label values; ValueError if misused where strict."""
        given = tuple(labels.items())
        found = self._series.get(given)
        return found if found is not None else self._declare(given, labels)

    def allow(self, label: str, values: Iterable[str]) -> None:
        """Add values to the vocabulary of `label`: for words that are known at start-up only, names of RPCs for one."""
        grown = {**self._vocabulary, label: self._vocabulary[label] | frozenset(values)}
        _check_size(grown)
        self._vocabulary = grown

    def _declare(self, given: tuple[tuple[str, str], ...], labels: Mapping[str, str]) -> P:
        if labels.keys() != self._vocabulary.keys():
            raise ValueError(f"labels of this metric: {', '.join(self._vocabulary) or 'none'}")
        unknown = [name for name, value in labels.items() if value not in self._vocabulary[name]]
        if unknown and mode.is_strict():
            raise ValueError(f"value outside the vocabulary of label {unknown[0]}")
        values = {name: OTHER if name in unknown else value for name, value in labels.items()}
        series: P = self._parent.labels(**values) if values else self._parent
        if not unknown:
            self._series[given] = series
        return series


class Counter(_Metric[prometheus_client.Counter]):
    """Something that only grows."""

    def inc(self, amount: float = 1, /, **labels: str) -> None:
        """Add `amount`, not below 0."""
        if amount < 0:
            raise ValueError("a counter only grows")
        # What prometheus-client does after checks that a series found by `labels` needs no more.
        self.labels(**labels)._value.inc(amount)

    def value(self, **labels: str) -> float:
        """Return the present value, for tests."""
        return float(self.labels(**labels)._value.get())


class Gauge(_Metric[prometheus_client.Gauge]):
    """A level."""

    def set(self, value: float, /, **labels: str) -> None:
        """Set the level."""
        self.labels(**labels)._value.set(float(value))

    def add(self, amount: float, /, **labels: str) -> None:
        """Raise the level, or lower it by a negative amount."""
        self.labels(**labels)._value.inc(amount)

    def watch(self, read: Callable[[], float], **labels: str) -> None:
        """Ask `read` at each scrape."""
        self.labels(**labels).set_function(read)

    def value(self, **labels: str) -> float:
        """Return the present value, for tests."""
        return float(self.labels(**labels)._value.get())


class Histogram(_Metric[prometheus_client.Histogram]):
    """A distribution."""

    def observe(self, value: float, /, **labels: str) -> None:
        """Count `value` in its bucket."""
        self.labels(**labels).observe(value)

    def time(self, **labels: str) -> AbstractContextManager[None]:
        """Observe the seconds that the block takes, whether it succeeds or not."""
        return _Timing(self.labels(**labels).observe)


class _Timing(AbstractContextManager[None]):
    __slots__ = ("_observe", "_start")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._observe(time.perf_counter() - self._start)


_declared: dict[str, tuple[tuple[Any, ...], Any]] = {}


def counter(name: str, help: str, labels: Mapping[str, Sequence[str]] = _NO_LABELS) -> Counter:
    """Declare a counter; `name` ends in _total. `labels` gives every label its vocabulary."""
    if not name.endswith("_total"):
        raise ValueError("the name of a counter ends in _total")
    return _declare(name, (Counter, help, _shape(labels)), lambda: Counter(_counter(name, help, labels), labels))


def gauge(name: str, help: str, labels: Mapping[str, Sequence[str]] = _NO_LABELS) -> Gauge:
    """Declare a gauge."""
    return _declare(name, (Gauge, help, _shape(labels)), lambda: Gauge(_gauge(name, help, labels), labels))


def histogram(
    name: str, help: str, labels: Mapping[str, Sequence[str]] = _NO_LABELS, buckets: Sequence[float] = SECONDS
) -> Histogram:
    """Declare a histogram; `buckets` are upper bounds, by default of seconds."""
    shape = (Histogram, help, _shape(labels), tuple(buckets))
    return _declare(name, shape, lambda: Histogram(_histogram(name, help, labels, buckets), labels))


class _Shown(CollectorRegistry):
    """What the exposition is made from: the registry, seen through `show`."""

    def __init__(self) -> None:
        super().__init__()
        self.view: Callable[[Iterable[Metric]], Iterable[Metric]] = lambda families: families

    def collect(self) -> Iterable[Metric]:
        """Return the families to be shown."""
        return self.view(REGISTRY.collect())


_shown = _Shown()


def show(view: Callable[[Iterable[Metric]], Iterable[Metric]]) -> None:
    """Let `view` turn the families of this process into those that are shown: a parent adds those of its workers."""
    _shown.view = view


def render() -> tuple[bytes, str]:
    """Return the exposition of all metrics and its content type."""
    return prometheus_client.generate_latest(_shown), prometheus_client.CONTENT_TYPE_LATEST


def vocabularies() -> dict[str, dict[str, frozenset[str]]]:
    """Return what the labels of each metric that is declared so far may say, by name of the metric and of the label."""
    return {name: dict(metric._vocabulary) for name, (_, metric) in _declared.items() if isinstance(metric, _Metric)}


def add_process_metrics() -> None:
    """Add memory, CPU seconds and file descriptors of this process. Idempotent."""
    _declare("sealpost_process", ("process",), lambda: prometheus_client.ProcessCollector(registry=REGISTRY))


M = TypeVar("M")


def _declare(name: str, shape: tuple[Any, ...], make: Callable[[], M]) -> M:
    if not _NAME.match(name):
        raise ValueError("metrics are named sealpost_<snake_case>")
    if name in _declared:
        declared, metric = _declared[name]
        if declared != shape:
            raise ValueError(f"{name} is declared twice, and differently")
        return metric  # type: ignore[no-any-return]
    made = make()
    _declared[name] = (shape, made)
    return made


def _shape(labels: Mapping[str, Sequence[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    _check_size(labels)
    return tuple((name, frozenset(values)) for name, values in labels.items())


def _check_size(labels: Mapping[str, Collection[str]]) -> None:
    for name, values in labels.items():
        if not all(_VALUE.match(value) for value in values):
            raise ValueError(f"a value of label {name} is no plain word")
    if math.prod(max(1, len(values)) for values in labels.values()) > _MAX_SERIES:
        raise ValueError(f"more than {_MAX_SERIES} series")


def _counter(name: str, help: str, labels: Mapping[str, Sequence[str]]) -> prometheus_client.Counter:
    return prometheus_client.Counter(name, help, tuple(labels), registry=REGISTRY)


def _gauge(name: str, help: str, labels: Mapping[str, Sequence[str]]) -> prometheus_client.Gauge:
    return prometheus_client.Gauge(name, help, tuple(labels), registry=REGISTRY)


def _histogram(
    name: str, help: str, labels: Mapping[str, Sequence[str]], buckets: Sequence[float]
) -> prometheus_client.Histogram:
    return prometheus_client.Histogram(name, help, tuple(labels), registry=REGISTRY, buckets=tuple(buckets))
