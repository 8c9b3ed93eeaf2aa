"""The figures as a table for people and as JSON for machines, with the machine they were measured on."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Bar, Figure
from tests.bench.plan import Finding

_LIBRARIES = ("aiokafka", "faststream", "motor", "pymongo", "pydantic", "uvloop", "typst")


def as_json(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "product": version("lesson-progress"),
        "machine": machine(),
        "benchmarks": {
            name: {
                "figures": [figure.as_json() for figure in finding.figures],
                "problems": list(finding.problems),
                "runs": list(finding.runs),
            }
            for name, finding in findings.items()
        },
    }


def machine() -> dict[str, Any]:
    """What the figures depend on: an absolute time says little without it."""
    return {
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def show(console: Console, name: str, finding: Finding) -> None:
    """Print one benchmark's table, and below it how its figures were measured."""
    table = Table(title=name, title_justify="left")
    for heading in ("", "figure", "asked for", "behind it"):
        table.add_column(heading, justify="right" if heading == "figure" else "left")
    for figure in finding.figures:
        table.add_row(figure.name, _value(figure.value, figure.unit), _asked(figure), _details(figure))
    console.print(table)
    for how in dict.fromkeys(figure.how for figure in finding.figures):
        names = ", ".join(figure.name for figure in finding.figures if figure.how == how)
        console.print(f"{names}: {how}.", style="dim", highlight=False)
    for problem in finding.problems:
        console.print(f"Wrong: {problem}", style="bold red", highlight=False)


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:,.3g} {unit}".rstrip()


def _asked(figure: Figure) -> str:
    bar = figure.bar
    if bar is None:
        return ""
    aim = "" if bar.aim is None else f" (aim {bar.aim:g})"
    return f"{'met' if figure.met else 'MISSED'}: {_sign(bar)} {bar.value:g}{aim}"


def _sign(bar: Bar) -> str:
    return "≥" if bar.kind == "at least" else "<"


def _details(figure: Figure) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in figure.details.items())


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(_shown(item) for item in value)
    return f"{value:,.4g}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"
