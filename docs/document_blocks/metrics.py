"""The metrics of each service, as its code declares them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import isclass

from prometheus_client import CollectorRegistry

from shared.kafka.metrics import LoopMetrics


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is declared."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def declared_metrics(service: str) -> list[Metric]:
    """Every metric that a service declares, those of its consume loop included, by name."""
    module = import_module(f"services.{service}.metrics")
    declaring: list[Callable[[CollectorRegistry], object]] = [LoopMetrics]
    declaring += [c for c in vars(module).values() if isclass(c) and c.__module__ == module.__name__]
    registry = CollectorRegistry()
    for make in declaring:
        make(registry)
    found: dict[str, Metric] = {}
    for collector in registry._collector_to_names:  # noqa: SLF001 - labels without children are shown nowhere else
        [family] = collector.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels: tuple[str, ...] = collector._labelnames  # type: ignore[attr-defined]  # noqa: SLF001 - the same
        found[name] = Metric(name, family.type, labels, family.documentation)
    return [found[name] for name in sorted(found)]
