"""The evidence: what the kept runs of the fault suite found, as files beside the documents."""

import json
from collections.abc import Sequence
from typing import Any

from docs.contract_files.places import ROOT

_RUNS = ROOT / "docs" / "evidence"
_SHORT = 9
#: How many faults the table has, whether a run made all of them or not.
_FAULTS_IN_ALL = 37


def fault_rows() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and lines of the table: each fault, how it is made, what is asserted, and each of its newest runs."""
    runs = _runs()
    seeds = sorted({seed for run in runs for seed in run["seeds"]})
    newest = {row["number"]: (row, run["commit"]) for run in runs for row in run["rows"]}
    headings = (
        "#",
        "fault",
        "made here",
        "asserted besides the promise",
        *(f"seed {seed}" for seed in seeds),
        "commit",
    )
    return headings, [_line(*newest[number], seeds) for number in sorted(newest)]


def fault_run() -> str:
    """What each run was of, on what, and how it ended; the oldest first."""
    return "\n".join(f"- {_told(run)}" for run in _runs())


def _told(found: dict[str, Any]) -> str:
    runs = [(row["number"], run) for row in found["rows"] for run in row["runs"]]
    failed = [f"{number} (seed {run['seed']})" for number, run in runs if run["verdict"] != "passed"]
    left_out = sorted({*range(1, _FAULTS_IN_ALL + 1)} - {row["number"] for row in found["rows"]})
    without = f" (without {', '.join(map(str, left_out))})" if left_out else ""
    missing = len(found["rows"]) * len(found["seeds"]) - len(runs)
    read = [checked for checked in found["checker"] if checked["verdict"] != "not read"]
    defects, unread = sum(checked["verdict"] != "passed" for checked in read), found["stacksNotRead"]
    machine = f"{found['machine']['processors']} processors, Python {found['machine']['python']}"
    commit = found["commit"][:_SHORT] + (" and changes" if found["changed"] else "")
    kind = "with short outages" if found["quick"] else "with outages of ten minutes"
    return (
        f"Commit `{commit}`, {found['ranAt'][:10]}, on {machine}: {len(runs)} runs of {len(found['rows'])} of the "
        f"{_FAULTS_IN_ALL} rows{without}, {kind}, in {found['seconds'] / 60:.0f} minutes. "
        f"Failed: {', '.join(failed) or 'none'}; did not run: {missing}. "
        f"The checker read {len(read)} of {len(read) + unread} stacks in the end, and found defects in {defects}; "
        f"not read: {unread}."
    )


def _line(row: dict[str, Any], commit: str, seeds: Sequence[int]) -> tuple[str, ...]:
    said = (str(row["number"]), row["fault"], row["made"], row["asserted"])
    runs = {run["seed"]: f"{run['verdict']}, {run['seconds']:.0f} s" for run in row["runs"]}
    return (*said, *(runs.get(seed, "not run") for seed in seeds), f"`{commit[:_SHORT]}`")


def _runs() -> list[dict[str, Any]]:
    """Every run that is kept, the oldest first."""
    return sorted((json.loads(file.read_text()) for file in _RUNS.glob("faults*.json")), key=lambda run: run["ranAt"])
