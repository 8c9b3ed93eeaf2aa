"""The rows of the fault suite: each stands once, and says how it is made and what it asserts."""

import json

import pytest

from tests.faults.rows.__main__ import _numbers, main
from tests.faults.rows.catalog import Row
from tests.faults.rows.checker import verdict_of
from tests.faults.rows.report import as_json
from tests.faults.rows.table import ROWS
from tests.faults.rows.verdicts import CHECKER, Result, Task, Verdict


def test_every_row_of_the_table_stands_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, 38))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_says_how_it_is_made_and_what_it_asserts(row: Row) -> None:
    assert row.title
    assert row.made
    assert row.asserted


def test_rows_are_named_by_numbers_and_ranges() -> None:
    assert _numbers("1,5-7,6") == [1, 5, 6, 7]


@pytest.mark.parametrize("text", ["", "a", "1-", "1,,2"])
def test_what_names_no_rows_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", text])
    assert "is no list of numbers" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [["--rows", "38"], ["--rows", "1,38"], ["--quick", "--rows", "36"]])
def test_a_run_of_rows_that_are_not_there_is_no_success(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked) == 2
    assert "There is no such row" in capsys.readouterr().out


def test_a_task_and_its_result_survive_the_way_to_a_lane_and_back() -> None:
    task, result = Task(3, 1, quick=True), Result(3, 1, Verdict.FAILED, 1.5, "a\nb", "folder")

    assert Task.read(task.line().decode()) == task
    assert Result.read(result.line()) == result


def test_a_report_says_what_became_of_each_run_and_on_what() -> None:
    results = {(ROWS[0].number, 1): Result(ROWS[0].number, 1, Verdict.FAILED, 1.25, "lost")}

    found = json.loads(json.dumps(as_json(ROWS[:1], [1, 2], results, tried={"commit": "abc"}, seconds=2, quick=False)))

    assert found["rows"][0]["runs"] == [{"seed": 1, "verdict": "failed", "seconds": 1.2, "what": "lost"}]
    assert found["machine"]["processors"]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [('{"healthy": false}', Verdict.FAILED), ('{"healthy": true}', Verdict.UNREAD), ("", Verdict.UNREAD)],
    ids=["defects", "records unread", "no report"],
)
def test_a_checker_that_ended_with_an_error_has_found_defects_or_not_read_everything(
    said: str, verdict: Verdict
) -> None:
    assert verdict_of(said) is verdict


def test_a_report_counts_the_stacks_that_were_not_read_apart_from_those_with_defects() -> None:
    verdicts = (Verdict.PASSED, Verdict.FAILED, Verdict.UNREAD)
    results = {(CHECKER, lane): Result(CHECKER, lane, verdict, 1.0) for lane, verdict in enumerate(verdicts, 1)}

    found = json.loads(json.dumps(as_json((), [1], results, tried={}, seconds=2, quick=False)))

    assert [checked["verdict"] for checked in found["checker"]] == ["passed", "failed", "not read"]
    assert found["stacksNotRead"] == 1
