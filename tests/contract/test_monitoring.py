"""Rules and the dashboard ask for what services show, and everything that services show is asked for."""

import re
from importlib import import_module

import pytest
import yaml

from docs.generate import declared_metrics
from shared.contracts.topics import SERVICES
from tests.support.agreed_metrics import STAGES, VALUES
from tests.support.monitored import EXPOSED, EXPRESSIONS, RECORDED, samples
from tests.support.prometheus import CONFIGURATION
from tests.support.promql import grouping_in, matchers_in, series_in

_RECORDED = re.compile(r"(?P<level>[a-z_]+):(?P<metric>[a-z_]+):(?P<operation>[a-z0-9_]+)")


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_what_is_asked_for_is_what_a_service_shows_or_a_rule_records(place: str) -> None:
    expression = EXPRESSIONS[place]
    labels = EXPOSED | RECORDED

    assert series_in(expression) <= labels.keys()
    for matcher in matchers_in(expression):
        assert matcher.label in labels[matcher.series], matcher
    for label in grouping_in(expression):
        assert any(label in labels[name] for name in series_in(expression)), label


def test_values_that_are_asked_for_are_values_that_occur() -> None:
    values: dict[str, set[str]] = {"stage": set(STAGES.values()), "job": set(SERVICES), "alertstate": {"firing"}}
    for label, agreed in (item for labels in VALUES.values() for item in labels.items()):
        values[label] = values.get(label, set()) | agreed

    for matcher in (m for expression in EXPRESSIONS.values() for m in matchers_in(expression)):
        if matcher.label in values:
            assert set(matcher.value.split("|")) <= values[matcher.label], matcher


def test_every_metric_of_a_service_is_on_the_dashboard_or_in_a_rule() -> None:
    used = {name for expression in EXPRESSIONS.values() for name in series_in(expression)}

    for metric in {metric for service in SERVICES for metric in declared_metrics(service)}:
        assert used & dict(samples(metric.name, metric.kind, set())).keys(), f"nobody looks at {metric.name}"


def test_every_recorded_series_is_looked_at_and_named_by_its_labels_its_metric_and_what_was_done() -> None:
    bases = {re.sub("_total$|(?<=seconds)_bucket$", "", name) for name in EXPOSED} | EXPOSED.keys()
    used = {name for expression in EXPRESSIONS.values() for name in series_in(expression)}

    for name, labels in RECORDED.items():
        parts = _RECORDED.fullmatch(name)
        assert parts, name
        assert set(re.split("_(?!id)", parts["level"])) == labels, name
        assert parts["metric"] in bases, name
        assert name in used, name


@pytest.mark.parametrize(
    ("expression", "asked_for"),
    [
        ('sum by (job, le) (rate(made_up_bucket{stage="a}b"}[5m])) > 3', {"made_up_bucket"}),
        ('a:b:c{x="y"} / on () sum(d) unless e offset 10m or vector(0)', {"a:b:c", "d", "e"}),
        ("histogram_quantile(0.95, one) and on (job) two == bool 1e3", {"one", "two"}),
    ],
)
def test_what_an_expression_asks_for_is_read_from_it(expression: str, asked_for: set[str]) -> None:
    assert series_in(expression) == asked_for


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_scraped_where_it_listens(service: str) -> None:
    [job] = [j for j in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"] if j["job_name"] == service]
    [found] = job["dns_sd_configs"]
    settings = import_module(f"services.{service}.settings").Settings()

    assert found["names"] == [service]
    assert found["port"] == getattr(settings, service).http.port
