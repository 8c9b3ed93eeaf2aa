"""The evidence: what the last run of the fault suite found, kept as a file beside the documents."""

import json
from typing import Any

from docs.contract_files.places import ROOT

_FAULTS = ROOT / "docs" / "evidence" / "faults.json"
_SHORT = 9
#: How many faults the table has, whether the run made all of them or not.
_FAULTS_IN_ALL = 37


def fault_rows() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and lines of the table: each fault, how it is made, what is asserted, and each run of it."""
    found = _found()
    headings = ("#", "fault", "made here", "asserted besides the promise", *(f"seed {seed}" for seed in found["seeds"]))
    return headings, [_line(row, found["seeds"]) for row in found["rows"]]


def fault_run() -> str:
    """What the run was of, on what, and how it ended."""
    found = _found()
    runs = [run for row in found["rows"] for run in row["runs"]]
    failed = sum(run["verdict"] != "passed" for run in runs)
    left_out = sorted({*range(1, _FAULTS_IN_ALL + 1)} - {row["number"] for row in found["rows"]})
    without = f" (without {', '.join(map(str, left_out))})" if left_out else ""
    missing = len(found["rows"]) * len(found["seeds"]) - len(runs)
    defects = sum(checked["verdict"] != "passed" for checked in found["checker"])
    machine = f"{found['machine']['processors']} processors, Python {found['machine']['python']}"
    commit = found["commit"][:_SHORT] + (" and changes" if found["changed"] else "")
    kind = "with short outages" if found["quick"] else "with outages of ten minutes"
    length = f"{found['seconds'] / 60:.0f} minutes"
    return (
        f"{len(runs)} runs of {len(found['rows'])} of the {_FAULTS_IN_ALL} rows{without}, {kind}, in {length}: "
        f"{failed} failed, {missing} did not run. "
        f"The checker read all of {len(found['checker'])} stacks in the end: it found defects in {defects}. "
        f"Commit `{commit}`, {found['ranAt'][:10]}, on {machine}."
    )


def _line(row: dict[str, Any], seeds: list[int]) -> tuple[str, ...]:
    said = (str(row["number"]), row["fault"], row.get("excuse") or row["made"], row["asserted"])
    runs = {run["seed"]: f"{run['verdict']}, {run['seconds']:.0f} s" for run in row["runs"]}
    return (*said, *(runs.get(seed, "not run") for seed in seeds))


def _found() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FAULTS.read_text())
    return found
