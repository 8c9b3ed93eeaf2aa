"""A table is readable however narrow the screen is, and a result is where a file can take it."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from ops.commands.options import results
from ops.tables import exact, print_table, prose
from ops.verify.findings import Findings
from tests.unit.ops.conftest import Command

LONG = "a sentence that goes on for long, since it says why, and what is to be done about it"


def printed(width: int) -> str:
    screen = StringIO()
    made = Table(exact("topic"), exact("types"), prose("purpose"), title="Cards")
    made.add_row("progress.commands", "lesson.complete.v1\nlesson.forget.v1", LONG)
    made.add_row("progress.replies", "", "short")
    print_table(made, Console(file=screen, width=width))
    return screen.getvalue()


def test_where_a_table_fits_only_sentences_are_broken() -> None:
    shown = printed(80)

    assert "│ progress.commands │ lesson.complete.v1 │" in shown
    assert all(word in shown for word in LONG.split())


def test_where_it_does_not_fit_there_is_a_block_for_each_row() -> None:
    assert printed(60) == (
        "Cards\n"
        "topic: progress.commands\n"
        "  types: lesson.complete.v1, lesson.forget.v1\n"
        f"  purpose: {LONG}\n"
        "topic: progress.replies\n"
        "  purpose: short\n"
    )


def test_a_result_is_on_standard_output_and_nothing_else_is_said(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def verify(_: object, findings: Findings, __: object) -> float:
        findings.fates["progress.commands"]["recorded"] = 7
        findings.fates["progress.commands"]["rejected"] = 1
        return 1.0

    monkeypatch.setattr("ops.commands.verifying._verify", verify)
    monkeypatch.setenv("COLUMNS", "80")

    ended = command("verify")

    assert ended.out.startswith("How records ended\ntopic: progress.commands\n  recorded: 7\n  rejected: 1\n")
    assert ended.err == ""


def test_a_report_on_standard_output_stands_there_alone() -> None:
    assert results(report=Path("/dev/stdout")).stderr
    assert results(as_json=True).stderr
    assert not results(report=Path("report.json")).stderr
