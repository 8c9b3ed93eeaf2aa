"""Tables that stay readable on a narrow screen: where one does not fit, its rows are written one below the other."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Column, Table

_PROSE_WIDTH = 30


def exact(heading: str, *, right: bool = False) -> Column:
    """A column of names and numbers, which are there to be copied: they are never broken and never cut."""
    return Column(heading, no_wrap=True, justify="right" if right else "left")


def prose(heading: str) -> Column:
    """A column of sentences, which may be broken between two words."""
    return Column(heading, min_width=_PROSE_WIDTH)


def print_table(made: Table, out: Console) -> None:
    """Print a table of `exact` and `prose` columns; one block a row where the screen is narrower than it needs."""
    if out.measure(made, options=out.options.update(width=10_000)).minimum <= out.width:
        out.print(made)
        return
    if isinstance(made.title, str):
        out.print(made.title, soft_wrap=True)
    for line in _blocks(made):
        out.print(line, soft_wrap=True)


def _blocks(made: Table) -> Iterator[str]:
    headings = [str(column.header) for column in made.columns]
    for row in zip(*(column.cells for column in made.columns), strict=True):
        indent = ""
        for heading, cell in zip(headings, map(str, row), strict=True):
            if cell:
                yield f"{indent}{heading}{': ' if heading else ''}{', '.join(cell.splitlines())}"
                indent = "  "
