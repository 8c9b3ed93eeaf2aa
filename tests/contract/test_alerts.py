"""Alerts: each says what happened, leads to its paragraph of the runbook, fires when it should and is silent else."""

import re
from collections import Counter
from typing import Any

import pytest
import yaml

from tests.support.monitored import ALERTS, ROOT, RUNBOOK
from tests.support.prometheus import CONFIGURATION, FOLDER, RULES, promtool, shortened


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_happened_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    notes, severity = alert["annotations"], alert["labels"]["severity"]
    page, _, paragraph = notes["runbook_url"].removeprefix("{{ $externalLabels.docs }}/").partition("#")
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert alert["alert"].startswith("LessonProgress")
    assert severity in {"critical", "warning"}
    assert len(notes["summary"]) <= 100
    assert notes["summary"] != notes["description"]
    assert page == RUNBOOK.name
    assert paragraph in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    row = rf"\| `{alert['alert']}` \| \[[^\]]+\]\(#{paragraph}\) \| {severity} \|"
    assert re.search(row, RUNBOOK.read_text()), "the runbook's table of alerts does not say so"


def test_the_runbook_names_no_alert_that_does_not_exist() -> None:
    named = re.findall(r"`(LessonProgress\w+)`", RUNBOOK.read_text())

    assert Counter(named) == Counter(alert["alert"] for alert in ALERTS)


def test_the_links_of_alerts_begin_where_the_configuration_says() -> None:
    assert (ROOT / yaml.safe_load(CONFIGURATION.read_text())["global"]["external_labels"]["docs"]).is_dir()


def test_every_alert_is_tried_firing_and_silent() -> None:
    groups = yaml.safe_load((FOLDER / "tests" / "alerts.yml").read_text())["tests"]
    tried = [test for group in groups for test in group.get("alert_rule_test", ())]

    names = {alert["alert"] for alert in ALERTS}
    assert {test["alertname"] for test in tried if test["exp_alerts"]} == names
    assert {test["alertname"] for test in tried if not test["exp_alerts"]} == names


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", CONFIGURATION)


def test_rules_do_what_their_own_tests_say() -> None:
    promtool("test", "rules", *sorted((FOLDER / "tests").glob("*.yml")))


def test_windows_can_be_shortened_and_nothing_else_changes() -> None:
    text = "  rules:\n      - expr: increase(a[10m]) unless a offset 5m > 300\n        for: 2m\n        x: 5m\n"

    short = shortened(text, times=60)

    assert short == text.replace("[10m]", "[10000ms]").replace("offset 5m", "offset 5000ms").replace(
        "for: 2m", "for: 2000ms"
    )
    for file in RULES.glob("*.yml"):
        assert not re.search(r"\[\d+m\]|for: \d+m$|offset \d+m\b", shortened(file.read_text(), times=60), re.MULTILINE)
