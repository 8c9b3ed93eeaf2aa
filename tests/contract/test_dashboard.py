"""The dashboard: a file that Grafana can read, whose expressions parse and whose panels explain themselves."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import yaml

from tests.support.monitored import DASHBOARD, EXPRESSIONS, panels
from tests.support.prometheus import promtool

_PANELS = {"row", "stat", "timeseries", "table"}
_COLUMNS = 24


def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    shown = {place: e for place, e in EXPRESSIONS.items() if place.startswith(("panel", "annotation"))}
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(shown.values())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", file)


def test_a_dashboard_s_panels_are_whole_named_explained_and_beside_each_other() -> None:
    shown = panels()

    assert Counter(panel["id"] for panel in shown).most_common(1)[0][1] == 1
    for panel in shown:
        assert panel["type"] in _PANELS
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"]
            for part in (panel, *panel["targets"]):
                assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for one, other in combinations(shown, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= _COLUMNS for panel in shown)


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


def test_a_dashboard_has_a_row_for_the_overview_each_stage_lag_and_dead_letters() -> None:
    document = json.loads(DASHBOARD.read_text())
    rows = [panel["title"] for panel in document["panels"] if panel["type"] == "row"]

    assert {"uid", "title", "schemaVersion", "templating", "time", "panels"} <= document.keys()
    assert [variable["name"] for variable in document["templating"]["list"]] == ["datasource"]
    assert [row.split(":")[0] for row in rows] == [
        "Overview", "progress", "recalculator", "Certificates", "Lag and transport", "Dead letters",
    ]  # fmt: skip
