"""What monitoring asks for, and what there is to be asked for: rules, dashboard, and every series with its labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from prometheus_client import CollectorRegistry

from docs.generate import declared_metrics
from shared.contracts.topics import SERVICES
from tests.support.prometheus import rules_of
from tests.support.promql import grouping_in, series_in

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "lesson-progress.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

_SUFFIXES = {"counter": ("", "_created"), "histogram": ("_bucket", "_sum", "_count", "_created"), "gauge": ("",)}
_OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"}}


def samples(name: str, kind: str, labels: set[str]) -> Iterator[tuple[str, set[str]]]:
    """The series that one metric is shown as, with their labels."""
    for suffix in _SUFFIXES[kind]:
        own = {"le"} if suffix == "_bucket" else set()
        stem = name.removesuffix("_total") if suffix == "_created" else name
        yield f"{stem}{suffix}", {*labels, *own, "job", "instance"}


def _of_services() -> dict[str, set[str]]:
    metrics = {metric for service in SERVICES for metric in declared_metrics(service)}
    return dict(sample for m in metrics for sample in samples(m.name, m.kind, set(m.labels)))


def _of_the_transport() -> dict[str, set[str]]:
    registry = CollectorRegistry()
    KafkaPrometheusMiddleware(registry=registry)
    found: dict[str, set[str]] = {}
    for collector in registry._collector_to_names:
        [family] = collector.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found |= dict(samples(name, family.type, set(getattr(collector, "_labelnames", ()))))
    return found


def _recorded() -> dict[str, set[str]]:
    """What a sum groups by; a quantile keeps all of its buckets' labels but `le`."""
    found: dict[str, set[str]] = {}
    for rule in RECORDING:
        of = (found.get(name, set()) - {"le"} for name in series_in(rule["expr"]))
        found[rule["record"]] = grouping_in(rule["expr"]).union(*of)
    return found


ALERTS = rules_of("alerts.yml")
RECORDING = rules_of("recording.yml")
#: The labels of each recorded series.
RECORDED = _recorded()
EXPOSED = _of_services() | _of_the_transport() | _OF_PROMETHEUS


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, rows among them."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> dict[str, str]:
    """Every expression of rules and dashboard, by where it stands."""
    found = {rule.get("record") or rule["alert"]: rule["expr"] for rule in [*RECORDING, *ALERTS]}
    for panel in panels():
        found |= {f"panel {panel['title']}, {t['refId']}": t["expr"] for t in panel.get("targets", ())}
    notes = json.loads(DASHBOARD.read_text())["annotations"]["list"]
    return found | {f"annotation {note['name']}": note["expr"] for note in notes}


EXPRESSIONS = expressions()
