"""A verification that is ended early leaves nothing behind that still works."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from ops.verify.findings import Findings
from ops.verify.index import COMMAND, Entry, Index
from ops.verify.run import Verification
from shared.clock import system_clock


async def test_the_long_sort_ends_with_the_verification(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.add(Entry(number.to_bytes(16), COMMAND, at=number) for number in range(20_000))
    nobody = cast("Any", None)
    verification = Verification(nobody, nobody, index, Findings(), system_clock)

    sorting = asyncio.create_task(verification._balance())
    await asyncio.sleep(0)
    sorting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sorting
    index.close()
    (tmp_path / "index.sqlite").unlink()


def test_an_index_needs_a_folder_and_nothing_else(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.add([Entry(b"b", COMMAND), Entry(b"a", COMMAND)])

    assert [entry.id for entry in index.sort()] == [b"a", b"b"]
    index.close()
    assert [path.name for path in tmp_path.iterdir()] == ["index.sqlite"]
