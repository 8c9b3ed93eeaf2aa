"""The benchmarks' own command: what was measured is never lost, and a crash is no slow run."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.stacks import StackError
from tests.bench import __main__ as bench
from tests.bench.plan import Context, Finding
from tests.bench.sides import product


async def _found(_: Context) -> Finding:
    """Find something."""
    await asyncio.sleep(0)
    return Finding([])


async def _crash(_: Context) -> Finding:
    """Crash."""
    await asyncio.sleep(0)
    raise StackError("the broker ended by itself")


def test_what_was_measured_is_in_the_report_when_a_later_benchmark_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "BENCHMARKS", {"first": _found, "second": _crash})
    report = tmp_path / "new" / "report.json"

    assert bench.main(["--report", str(report)]) == 2

    assert list(json.loads(report.read_text())["benchmarks"]) == ["first"]


def test_a_report_that_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def never(_: Context) -> Finding:
        """Never run."""
        raise AssertionError("it was measured")

    monkeypatch.setattr(bench, "BENCHMARKS", {"only": never})
    (tmp_path / "a-file").touch()

    assert bench.main(["--report", str(tmp_path / "a-file" / "report.json")]) == 2

    assert "cannot be written" in capsys.readouterr().out.replace("\n", " ")


async def test_a_service_of_the_product_that_dies_ends_the_run_at_once() -> None:
    class Stack:
        @asynccontextmanager
        async def watched(self) -> AsyncIterator[None]:
            yield
            raise StackError("progress ended by itself")

    stack: Any = Stack()

    with pytest.raises(StackError, match="progress ended by itself"):
        async with product(stack):
            await asyncio.sleep(0)
