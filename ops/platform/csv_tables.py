"""CSV tables: a header that names the columns, then rows, each checked on its own."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.platform.lines import Located, read_lines
from ops.platform.problems import ImportProblem, Problems


class Row(BaseModel):
    """One record; its fields are the columns that are read, others are left out."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


R = TypeVar("R", bound=Row)


def read_table(path: Path, kind: type[R], problems: Problems) -> list[Located[R]]:
    """Read a CSV file whose first line names its columns; whatever is wrong is added to `problems`.

    No value of these tables holds a line break, so each line is a record of its own and a broken quote harms one line.
    """
    known = len(problems)
    records = _records(read_lines(path, problems), path.name, problems)
    header: Located[list[str]] = next(records, Located(1, []))
    if len(problems) == known:
        problems.add_all(_missing_columns(header, kind, path.name))
    return _rows(records, header.value, kind, path.name, problems) if len(problems) == known else []


def _missing_columns(header: Located[list[str]], kind: type[Row], name: str) -> Iterator[ImportProblem]:
    for column in kind.model_fields:
        if header.value.count(column) != 1:
            yield ImportProblem(name, header.line, column, "Must be the name of exactly one column")


def _records(lines: Iterable[Located[str]], name: str, problems: Problems) -> Iterator[Located[list[str]]]:
    for line, text in lines:
        try:
            yield Located(line, next(csv.reader([text], strict=True)))
        except csv.Error as error:
            problems.add(ImportProblem(name, line, None, f"Is not a CSV record: {error}"))


def _rows(
    records: Iterable[Located[list[str]]], columns: list[str], kind: type[R], name: str, problems: Problems
) -> list[Located[R]]:
    rows = []
    for line, cells in records:
        if len(cells) != len(columns):
            problems.add(ImportProblem(name, line, None, f"Has {len(cells)} cells instead of {len(columns)}"))
            continue
        try:
            rows.append(Located(line, kind.model_validate(dict(zip(columns, cells, strict=True)))))
        except ValidationError as error:
            problems.add_invalid(name, line, error)
    return rows
