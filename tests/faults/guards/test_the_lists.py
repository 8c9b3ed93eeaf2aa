"""The lists of guards are whole: every change applies, every test is there, every decision's check has its place."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.faults.guards.guard import Guard, WrongGuard, read_guards
from tests.faults.guards.recording import ASSERTION, TIMEOUT, kind
from tests.faults.guards.running import Colour, Noted, judged
from tests.faults.guards.tree import ROOT

GUARDS = read_guards()


def named(guards: Iterable[Guard]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("guard", guards, ids=lambda guard: guard.name)


@named(GUARDS)
def test_a_guard_stands_where_its_entry_says_and_without_it_the_file_is_still_python(guard: Guard) -> None:
    without = guard.taken_out_of((ROOT / guard.file).read_text(encoding="utf-8"))
    assert ast.dump(ast.parse(without)) != ast.dump(ast.parse((ROOT / guard.file).read_text(encoding="utf-8")))


@named(GUARDS)
def test_a_guard_has_its_promise_and_its_tests(guard: Guard) -> None:
    assert guard.keeps.endswith(".")
    assert guard.tests
    missing = [test for test in guard.tests if test.partition("[")[0] not in _tests_of(test.partition("::")[0])]
    assert missing == []


@cache
def _tests_of(file: str) -> frozenset[str]:
    """The node ids of a file's tests, without parameters."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        place = f"{file}::{node.name}" if isinstance(node, ast.ClassDef) else file
        found |= {f"{place}::{f.name}" for f in members if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(found)


def test_every_fault_of_the_table_has_a_guard() -> None:
    # 34, a blocked event loop, is seen by an alert and mended by a restart: nothing in the product guards against it.
    assert set(range(1, 38)) - {row for guard in GUARDS for row in guard.rows} == {34}


def test_a_guard_that_moved_is_said(tmp_path: Path) -> None:
    guard = Guard("guard", "It holds.", (), "file.py", "old", "new", ("test",))
    for source in ("", "old and old"):
        with pytest.raises(WrongGuard, match="bring its entry up to date"):
            guard.taken_out_of(source)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("[one]\nkeeps = 'It holds.'", "one in broken.toml: missing or unknown: file, new, old, tests"),
        ("[one", "broken.toml cannot be read"),
    ],
    ids=["a field is missing", "it is no TOML"],
)
def test_a_list_that_cannot_be_used_is_said(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "broken.toml").write_text(entry)
    with pytest.raises(WrongGuard, match=said):
        read_guards(tmp_path)


def noted(outcome: str, *by: str, phase: str = "call", test: str = "file.py::test_it[1]") -> Noted:
    return {"test": test, "phase": phase, "outcome": outcome, "by": list(by)}


@pytest.mark.parametrize(
    ("notes", "colour"),
    [
        ([noted("passed")], Colour.GREEN),
        ([noted("failed", ASSERTION)], Colour.RED),
        ([noted("passed", test="file.py::test_it[2]"), noted("failed", ASSERTION)], Colour.RED),
        ([noted("failed", "NameError")], Colour.BROKEN),
        ([noted("failed", "Expected")], Colour.RED),
        ([noted("failed", ASSERTION, phase="setup")], Colour.BROKEN),
        ([noted("failed", "collection", phase="collect", test="file.py")], Colour.BROKEN),
        ([noted("failed", TIMEOUT)], Colour.HUNG),
        ([noted("skipped", phase="setup")], Colour.ABSENT),
        ([noted("failed", ASSERTION, test="file.py::test_it_too")], Colour.ABSENT),
    ],
    ids=[
        "passed",
        "an assertion",
        "an assertion with some parameters",
        "another exception",
        "the exception that its guard names",
        "a fixture's assertion",
        "an import",
        "a time-out",
        "skipped",
        "another test",
    ],
)
def test_only_a_test_that_judged_is_red(notes: list[Noted], colour: Colour) -> None:
    assert judged("file.py::test_it", notes, raises="Expected").colour is colour


@pytest.mark.parametrize(
    ("file", "by"),
    [("tests/unit/test_it.py", ASSERTION), ("tests/support/it.py", ASSERTION), ("services/it.py", "AssertionError")],
)
def test_an_assertion_of_the_product_judges_nothing(file: str, by: str) -> None:
    asserting = compile("assert False", str(ROOT / file), "exec")
    with pytest.raises(AssertionError) as raised:
        exec(asserting)  # noqa: S102 - a line of a file that is not there
    assert kind(raised.value) == by


def test_an_exception_that_says_something_else_than_a_test_asks_for_is_judged() -> None:
    with pytest.raises(AssertionError) as raised, pytest.raises(ValueError, match="this"):
        raise ValueError("that")
    assert kind(raised.value) == ASSERTION
