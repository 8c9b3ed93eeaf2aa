"""All rows of the fault table, in order."""

from tests.faults.rows import broker, buried, database, endings, groups, kills, moved, repeats, stuck, unreadable
from tests.faults.rows.catalog import Row

_MODULES = (kills, endings, groups, database, broker, repeats, unreadable, buried, moved, stuck)

ROWS: tuple[Row, ...] = tuple(sorted((row for module in _MODULES for row in module.ROWS), key=lambda row: row.number))
