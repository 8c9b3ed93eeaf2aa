"""What an audit found, kept on disk while a command runs: memory stays flat, however much is wrong.

The file is SQLite's own temporary one: private, and gone with the connection.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Self

from ops.repair.findings import Finding, Remedy
from ops.repair.plan import Plan, Step

_NAMES = [field.name for field in fields(Finding)]
_COLUMNS = ", ".join(_NAMES)
_row = attrgetter(*_NAMES)
_TABLES = f"""
CREATE TABLE found (n INTEGER PRIMARY KEY, {_COLUMNS});
CREATE TABLE remaining (n INTEGER PRIMARY KEY, {_COLUMNS});
CREATE INDEX remaining_of ON remaining (enrollment_id);
CREATE TABLE commands (remedy, enrollment_id, PRIMARY KEY (remedy, enrollment_id)) WITHOUT ROWID;
CREATE TABLE waiting (enrollment_id PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE held (enrollment_id PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE unreadable (collection, identity, PRIMARY KEY (collection, identity)) WITHOUT ROWID;
"""
# Names of columns are ours; values are always bound.
_HOLD_BACK = f"""
INSERT OR IGNORE INTO held SELECT enrollment_id FROM found WHERE final AND remedy IS NOT NULL;
INSERT INTO remaining ({_COLUMNS})
    SELECT {_COLUMNS.replace("remedy", "NULL")} FROM found
    WHERE remedy IS NOT NULL AND enrollment_id IN (SELECT * FROM held) ORDER BY n;
DELETE FROM commands WHERE enrollment_id IN (SELECT * FROM held);
DELETE FROM waiting WHERE enrollment_id IN (SELECT * FROM held);
BEGIN;
"""  # noqa: S608 - see above
_INTO = f"({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"


class Index:
    """Findings, the commands that heal them, and what is left once these were sent; use it with `with`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        # Nothing is ever rolled back or outlives the connection.
        self._db.executescript("PRAGMA journal_mode = off; PRAGMA synchronous = off;" + _TABLES + "BEGIN;")
        self._found = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, finding: Finding) -> None:
        """Take in what the audit found."""
        self._found += 1
        self._db.execute(f"INSERT INTO found {_INTO}", _row(finding))
        if finding.remedy is None:
            self._db.execute(f"INSERT INTO remaining {_INTO}", _row(finding))
        else:
            self._db.execute("INSERT OR IGNORE INTO commands VALUES (?, ?)", (finding.remedy, finding.enrollment_id))
            self._db.execute("INSERT OR IGNORE INTO waiting VALUES (?)", (finding.enrollment_id,))

    def hold_back(self) -> None:
        """Send nothing for an enrollment of which something cannot be taken back: one command may heal all of it."""
        self._db.executescript(_HOLD_BACK)

    def held_back(self) -> int:
        """How many findings nothing is sent for because of that."""
        query = "SELECT count(*) FROM found WHERE remedy IS NOT NULL AND enrollment_id IN (SELECT * FROM held)"
        return self._one(query)

    def add_unreadable(self, collection: str, identity: str) -> None:
        """Note a document that the audit passed over, however often it did."""
        self._db.execute("INSERT OR IGNORE INTO unreadable VALUES (?, ?)", (collection, identity))

    def unreadable(self, limit: int) -> Iterator[tuple[str, str]]:
        """Those documents by collection and id, sorted, at most `limit`."""
        yield from self._db.execute("SELECT * FROM unreadable ORDER BY collection, identity LIMIT ?", (limit,))

    def unreadable_count(self) -> int:
        """How many these are."""
        return self._one("SELECT count(*) FROM unreadable")

    def __len__(self) -> int:
        return self._found

    def findings(self, limit: int = -1) -> Iterator[Finding]:
        """What was found, in the audit's order, at most `limit` of it."""
        return map(_finding, self._db.execute("SELECT * FROM found ORDER BY n LIMIT ?", (limit,)))

    def plan(self) -> Plan:
        """What heals these findings."""
        query = """
            SELECT kind, iif(is_held, NULL, remedy) AS sent, count(*), max(is_held) FROM (
                SELECT *, remedy IS NOT NULL AND enrollment_id IN (SELECT * FROM held) AS is_held FROM found
            ) GROUP BY kind, sent, is_held ORDER BY kind, is_held
        """
        return Plan(
            [Step(kind, remedy and Remedy(remedy), n, bool(held)) for kind, remedy, n, held in self._db.execute(query)],
            dict(self._db.execute("SELECT remedy, count(*) FROM commands GROUP BY remedy")),
        )

    def commands(self) -> Iterator[tuple[Remedy, str]]:
        """Each command once for each enrollment that needs it, however many of its findings it heals."""
        for remedy, enrollment_id in self._db.execute("SELECT * FROM commands ORDER BY remedy, enrollment_id"):
            yield Remedy(remedy), enrollment_id

    def waiting(self) -> int:
        """How many enrollments have a command that is not known to have healed them."""
        return self._one("SELECT count(*) FROM waiting")

    def pages(self, size: int) -> Iterator[Sequence[str]]:
        """The ids of these enrollments; a page may be noted as looked at before the next is asked for."""
        query = "SELECT enrollment_id FROM waiting WHERE enrollment_id > ? ORDER BY enrollment_id LIMIT ?"
        last: str | int = 0  # SQLite takes any text for greater than any number
        while page := [enrollment_id for (enrollment_id,) in self._db.execute(query, (last, size))]:
            yield page
            last = page[-1]

    def looked_at(self, enrollment_ids: Iterable[str], found: Sequence[Finding]) -> None:
        """Note all that is wrong with these enrollments now; they wait as long as a command may heal any of it."""
        still = {finding.enrollment_id for finding in found if finding.remedy is not None}
        looked_at = [(enrollment_id,) for enrollment_id in enrollment_ids]
        self._db.executemany("DELETE FROM remaining WHERE enrollment_id = ?", looked_at)
        self._db.executemany(f"INSERT INTO remaining {_INTO}", map(_row, found))
        self._db.executemany("DELETE FROM waiting WHERE enrollment_id = ?", (i for i in looked_at if i[0] not in still))

    def remaining(self) -> Iterator[Finding]:
        """What is wrong still, as far as it was looked at; until then, what no command heals."""
        return map(_finding, self._db.execute("SELECT * FROM remaining ORDER BY n"))

    def remaining_count(self) -> int:
        """How much that is."""
        return self._one("SELECT count(*) FROM remaining")

    def healable_count(self) -> int:
        """How much of it a command heals that was sent."""
        return self._one("SELECT count(*) FROM remaining WHERE remedy IS NOT NULL")

    def remaining_causes(self) -> list[str]:
        """The causes of what remains, each once: its code, or its kind where it has none."""
        query = "SELECT DISTINCT coalesce(nullif(code, ''), kind) FROM remaining ORDER BY 1"
        return [cause for (cause,) in self._db.execute(query)]

    def _one(self, query: str) -> int:
        number: int = self._db.execute(query).fetchone()[0]
        return number


def _finding(row: Sequence[Any]) -> Finding:
    values: dict[str, Any] = dict(zip(_NAMES, row[1:], strict=True))
    remedy, final = values.pop("remedy"), values.pop("final")
    return Finding(remedy=None if remedy is None else Remedy(remedy), final=bool(final), **values)
