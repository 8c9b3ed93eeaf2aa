"""Lanes side by side: every task gets one result, also when its lane ends by itself."""

import sys
from pathlib import Path

import pytest

from tests.faults.rows import pool
from tests.faults.rows.pool import Pool
from tests.faults.rows.verdicts import CHECKER, Result, Task, Verdict

#: A lane that passes every row but the third, on which it ends; at the end its checker speaks, unless row 5 was there;
#: where row 6 was, it fails or, where row 7 was, does not end afterwards. Row 8 fails, and nothing more is taken.
LANE = """
import json, sys, time
rows = []
for line in sys.stdin:
    task = json.loads(line)
    if task["row"] == 3:
        sys.exit(7)
    verdict = "failed" if task["row"] == 8 else "passed"
    print(json.dumps({"row": task["row"], "seed": task["seed"], "verdict": verdict, "seconds": 1.0}), flush=True)
    if task["row"] == 5:
        sys.stdin.read()
        sys.exit(8)
    rows.append(task["row"])
    if task["row"] == 8:
        break
print(json.dumps({"row": 0, "seed": int(sys.argv[1]), "verdict": "passed", "seconds": 1.0}), flush=True)
if 6 in rows:
    sys.exit(9)
if 7 in rows:
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "lane_command", lambda number, failures: (sys.executable, "-c", LANE, str(number)))
    monkeypatch.setattr(pool, "STARTS_APART", 0)


async def test_every_task_has_a_result_and_every_lane_its_checkers_word(tmp_path: Path) -> None:
    begun: list[Task] = []
    ended: list[Result] = []
    tasks = [Task(row, 1, quick=True) for row in (1, 2, 4)]

    await Pool(tmp_path, begun=begun.append, ended=ended.append).run([(tasks[:2], 1), (tasks[2:], 5)])

    assert sorted(begun, key=lambda task: task.row) == tasks
    assert sorted(result.row for result in ended) == [CHECKER, CHECKER, 1, 2, 4]
    assert {result.verdict for result in ended} == {Verdict.PASSED}


async def test_a_row_whose_lane_ends_has_failed_and_the_next_one_finds_a_new_lane(tmp_path: Path) -> None:
    ended: list[Result] = []
    tasks = [Task(row, 1, quick=True) for row in (3, 4)]

    await Pool(tmp_path, begun=lambda _: None, ended=ended.append).run([(tasks, 1)])

    assert [(result.row, result.verdict) for result in ended if result.row != CHECKER] == [
        (3, Verdict.FAILED),
        (4, Verdict.PASSED),
    ]
    assert ended[0].what == "its lane ended by itself (7)"
    assert [(result.seed, result.verdict) for result in ended if result.row == CHECKER] == [
        (1, Verdict.UNREAD),
        (2, Verdict.PASSED),
    ]


async def test_a_lane_on_which_a_row_failed_has_its_checkers_word_and_the_next_row_a_new_lane(tmp_path: Path) -> None:
    ended: list[Result] = []
    tasks = [Task(row, 1, quick=True) for row in (1, 8, 2)]

    await Pool(tmp_path, begun=lambda _: None, ended=ended.append).run([(tasks, 1)])

    assert [(result.row, result.seed, result.verdict) for result in ended] == [
        (1, 1, Verdict.PASSED),
        (8, 1, Verdict.FAILED),
        (CHECKER, 1, Verdict.PASSED),
        (2, 1, Verdict.PASSED),
        (CHECKER, 2, Verdict.PASSED),
    ]


async def test_a_checker_that_ends_without_a_word_has_not_read_its_stack(tmp_path: Path) -> None:
    ended: list[Result] = []

    await Pool(tmp_path, begun=lambda _: None, ended=ended.append).run([([Task(5, 1, quick=True)], 1)])

    [row, checker] = ended
    assert (row.verdict, checker.row, checker.verdict) == (Verdict.PASSED, CHECKER, Verdict.UNREAD)
    assert checker.what == "its checker had no word; its lane ended with 8"


@pytest.mark.parametrize(
    ("row", "what"), [(6, "its lane ended with 9"), (7, "its lane did not end within 0 s")], ids=["fails", "hangs"]
)
async def test_a_lane_that_does_not_stop_its_stack_has_failed_whatever_its_checker_said(
    row: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_LAST_SECONDS", 0.3)
    ended: list[Result] = []

    await Pool(tmp_path, begun=lambda _: None, ended=ended.append).run([([Task(row, 1, quick=True)], 1)])

    assert [(result.row, result.verdict) for result in ended] == [(row, Verdict.PASSED), (CHECKER, Verdict.FAILED)]
    assert ended[1].what == what
