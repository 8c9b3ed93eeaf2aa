"""Metrics: every name that was agreed is declared, with its labels, and nothing personal is a label."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from shared.kafka.metrics import LoopMetrics
from tests.support.agreed_metrics import STAGES, VALUES

#: Name without `_total`: its kind and its labels.
OF_THE_LOOP: dict[str, tuple[str, set[str]]] = {
    "lesson_progress_replies_dropped": ("counter", {"reason"}),
    "lesson_progress_dead_letters": ("counter", {"topic", "error"}),
    "lesson_progress_consumer_lag_records": ("gauge", {"topic", "partition"}),
    "lesson_progress_consumer_lag_seconds": ("gauge", {"topic"}),
}
OF_A_SERVICE: dict[str, dict[str, tuple[str, set[str]]]] = {
    "progress": {
        "lesson_progress_commands": ("counter", {"outcome"}),
        "lesson_progress_lesson_completion_age_seconds": ("histogram", set()),
        "lesson_progress_propagation_seconds": ("histogram", {"stage"}),
    },
    "recalculator": {
        "lesson_progress_recalculation_duration_seconds": ("histogram", set()),
        "lesson_progress_recalculation_batch_enrollments": ("histogram", set()),
        "lesson_progress_course_completion_ratio": ("gauge", {"course_id"}),
        "lesson_progress_propagation_seconds": ("histogram", {"stage"}),
        "lesson_progress_drift_enrollments": ("gauge", set()),
    },
    "certificates": {
        "lesson_progress_certificates": ("counter", {"outcome"}),
        "lesson_progress_uncertified_enrollments": ("gauge", {"status"}),
        "lesson_progress_uncertified_seconds": ("gauge", set()),
        "lesson_progress_propagation_seconds": ("histogram", {"stage"}),
    },
}


def declared(make: Callable[[CollectorRegistry], Any]) -> dict[str, tuple[Metric, set[str]]]:
    """Every metric on a fresh registry, with the labels it asks for."""
    registry = CollectorRegistry()
    make(registry)
    found = {}
    for collector in registry._collector_to_names:
        [metric] = collector.collect()
        found[metric.name] = metric, set(getattr(collector, "_labelnames", ()))
    return found


def declaring(service: str) -> Callable[[CollectorRegistry], Any]:
    """The one class of a service's metrics."""
    module = import_module(f"services.{service}.metrics")
    [found] = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
    return found


def metrics_of(service: str) -> dict[str, tuple[Metric, set[str]]]:
    return declared(declaring(service))


def check(found: dict[str, tuple[Metric, set[str]]], agreed: dict[str, tuple[str, set[str]]]) -> None:
    for name, (kind, labels) in agreed.items():
        assert name in found, f"{name} is not declared"
        metric, own = found[name]
        assert (metric.type, own) == (kind, labels), name


def test_the_loop_s_metrics_are_as_agreed() -> None:
    check(declared(LoopMetrics), OF_THE_LOOP)


@pytest.mark.parametrize("service", OF_A_SERVICE)
def test_a_service_s_metrics_are_as_agreed(service: str) -> None:
    check(metrics_of(service), OF_A_SERVICE[service])


@pytest.mark.parametrize("service", OF_A_SERVICE)
def test_every_agreed_value_is_there_from_the_start(service: str) -> None:
    for name, (metric, _) in metrics_of(service).items():
        for label, values in VALUES.get(name, {}).items():
            shown = [s for s in metric.samples if not s.name.endswith("_created")]
            assert {s.labels[label] for s in shown} == values
        if name == "lesson_progress_propagation_seconds":
            assert {sample.labels["stage"] for sample in metric.samples} == {STAGES[service]}


@pytest.mark.parametrize("service", OF_A_SERVICE)
def test_a_service_and_the_loop_share_one_registry(service: str) -> None:
    registry = CollectorRegistry()
    LoopMetrics(registry)
    declaring(service)(registry)


@pytest.mark.parametrize("make", [declared(LoopMetrics), *(metrics_of(service) for service in OF_A_SERVICE)])
def test_names_are_ours_and_labels_hold_nobody(make: dict[str, tuple[Metric, set[str]]]) -> None:
    allowed = {"outcome", "status", "stage", "reason", "topic", "error", "partition", "course_id"}
    for name, (metric, labels) in make.items():
        assert name.startswith("lesson_progress_")
        assert metric.documentation.endswith(".")
        assert labels <= allowed, (name, labels)
