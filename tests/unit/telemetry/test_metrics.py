"""Labels take declared values only; a metric is declared once."""

from __future__ import annotations

import itertools

import pytest

from libs.telemetry import metrics

_numbers = itertools.count()


def fresh(suffix: str = "") -> str:
    return f"sealpost_test_{next(_numbers)}{suffix}"


def exposed(name: str) -> list[str]:
    body, kind = metrics.render()
    assert kind.startswith("text/plain")
    return [line for line in body.decode().splitlines() if line.startswith(name)]


def test_counting_with_labels_in_any_order() -> None:
    name = fresh("_total")
    made = metrics.counter(name, "Things.", {"colour": ("red", "green"), "size": ("s", "l")})
    made.inc(colour="red", size="s")
    made.inc(2, size="s", colour="red")
    made.inc(colour="green", size="l")
    assert made.value(colour="red", size="s") == 3
    assert f'{name}{{colour="green",size="l"}} 1.0' in exposed(name)


def test_a_value_outside_the_vocabulary_raises_in_tests() -> None:
    made = metrics.counter(fresh("_total"), "Things.", {"reason": ("size",)})
    with pytest.raises(ValueError, match="vocabulary") as caught:
        made.inc(reason="ada@example.org")
    assert "ada" not in str(caught.value)


@pytest.mark.usefixtures("lenient")
def test_in_a_service_it_is_counted_as_other() -> None:
    name = fresh("_total")
    made = metrics.counter(name, "Things.", {"reason": ("size",)})
    for number in range(100):
        made.inc(reason=f"ada{number}@example.org")
    assert exposed(name) == [f'{name}{{reason="other"}} 100.0']


@pytest.mark.parametrize("labels", [{}, {"colour": "red"}, {"reason": "size", "colour": "red"}])
def test_the_labels_are_those_declared(labels: dict[str, str]) -> None:
    made = metrics.counter(fresh("_total"), "Things.", {"reason": ("size",)})
    with pytest.raises(ValueError, match="labels"):
        made.inc(**labels)


def test_vocabularies_may_grow_at_start_up_but_not_without_bound() -> None:
    made = metrics.counter(fresh("_total"), "Calls.", {"method": ()})
    made.allow("method", ("/sealpost.storage.v1.Storage/Append",))
    made.inc(method="/sealpost.storage.v1.Storage/Append")
    with pytest.raises(ValueError, match="word"):
        made.allow("method", ("ada@example.org",))
    with pytest.raises(ValueError, match="series"):
        made.allow("method", (f"m{number}" for number in range(3000)))


def test_gauges_are_set_moved_and_watched() -> None:
    made = metrics.gauge(fresh(), "Level.")
    made.set(5)
    made.add(-2)
    assert made.value() == 3
    watched = fresh()
    metrics.gauge(watched, "Level.").watch(lambda: 7)
    assert exposed(watched) == [f"{watched} 7.0"]


def test_histograms_observe_and_time() -> None:
    name = fresh("_seconds")
    made = metrics.histogram(name, "Seconds.", {"outcome": ("ok",)}, buckets=(1.0, 2.0))
    made.observe(1.5, outcome="ok")
    with pytest.raises(KeyError), made.time(outcome="ok"):
        raise KeyError
    assert f'{name}_count{{outcome="ok"}} 2.0' in exposed(name)
    assert f'{name}_bucket{{le="1.0",outcome="ok"}} 1.0' in exposed(name)


def test_the_same_declaration_again_is_the_same_metric() -> None:
    name = fresh("_total")
    first = metrics.counter(name, "Things.", {"a": ("x",)})
    assert metrics.counter(name, "Things.", {"a": ("x",)}) is first
    with pytest.raises(ValueError, match="twice"):
        metrics.counter(name, "Things.", {"a": ("x", "y")})


@pytest.mark.parametrize("name", ["things_total", "sealpost_Things_total", "sealpost_ada@example_total"])
def test_names_are_ours(name: str) -> None:
    with pytest.raises(ValueError, match="sealpost_"):
        metrics.counter(name, "Things.")


def test_counters_end_in_total() -> None:
    with pytest.raises(ValueError, match="_total"):
        metrics.counter(fresh(), "Things.")


def test_the_process_measures_itself() -> None:
    metrics.add_process_metrics()
    metrics.add_process_metrics()
    assert len(exposed("process_resident_memory_bytes")) == 1
