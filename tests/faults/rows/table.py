"""All rows of the fault table, in order."""

from tests.faults.rows import broker, database, endings, groups, kills, repeats
from tests.faults.rows.catalog import Row

_MODULES = (kills, endings, groups, database, broker, repeats)

ROWS: tuple[Row, ...] = tuple(sorted((row for module in _MODULES for row in module.ROWS), key=lambda row: row.number))
