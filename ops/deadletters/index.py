"""What is known of every dead letter, kept on disk while a command runs: memory stays flat, however many there are.

The file is SQLite's own temporary one: private, and gone with the connection. It holds no values and no tokens.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Self

from aiokafka import TopicPartition

from ops.deadletters.letter import Known, Letter, Mark, State
from shared.kafka.deadletter import Position, position_in, replays_in
from shared.kafka.records import Record, partition_of

_TABLES = """
CREATE TABLE letters (
    topic TEXT, part INTEGER, off INTEGER, service TEXT, stands_topic TEXT, stands_part INTEGER, stands_off INTEGER,
    error TEXT, type TEXT, key BLOB, time INTEGER, died_at INTEGER, attempts INTEGER, version TEXT, replays INTEGER,
    bytes INTEGER, dropped INTEGER, copies INTEGER, PRIMARY KEY (topic, part, off)
) WITHOUT ROWID;
CREATE TABLE sent (
    topic TEXT, part INTEGER, off INTEGER, replays INTEGER, finished INTEGER, PRIMARY KEY (topic, part, off)
) WITHOUT ROWID;
CREATE TABLE marks (
    topic TEXT, part INTEGER, off INTEGER, replays INTEGER, reason TEXT, at INTEGER, PRIMARY KEY (topic, part, off)
) WITHOUT ROWID;
"""
# A later death of a record takes the place of an earlier one; another letter of the same death is a copy.
_LETTER = """
INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT DO UPDATE SET
    copies = CASE WHEN excluded.replays > replays THEN 1 ELSE copies + 1 END,
    stands_topic = excluded.stands_topic, stands_part = excluded.stands_part, stands_off = excluded.stands_off,
    error = excluded.error, time = excluded.time, died_at = excluded.died_at, attempts = excluded.attempts,
    version = excluded.version, replays = excluded.replays, bytes = excluded.bytes, dropped = excluded.dropped
WHERE excluded.replays >= replays
"""
_SENT = """
INSERT INTO sent VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET replays = excluded.replays, finished = excluded.finished WHERE excluded.replays >= replays
"""
_MARK = """
INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET replays = excluded.replays, reason = excluded.reason, at = excluded.at
WHERE excluded.replays >= replays
"""
_KNOWN = """
SELECT l.*, s.replays AS sent_replays, s.finished, m.replays AS marked_replays, m.reason, m.at
FROM letters l LEFT JOIN sent s USING (topic, part, off) LEFT JOIN marks m USING (topic, part, off)
ORDER BY l.stands_topic, l.stands_part, l.stands_off
"""


class Index:
    """Everything that the topics say about dead letters; use it with `with`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, found: Letter | Mark | None) -> None:
        """Take in what stands in a topic of dead letters, in the topic's order."""
        match found:
            case Letter():
                self._db.execute(
                    _LETTER,
                    (
                        *found.position, found.service, *found.stands, found.error, found.type, found.key,
                        found.time, found.died_at, found.attempts, found.version, found.replays, found.bytes,
                        found.value_dropped,
                    ),
                )  # fmt: skip
            case Mark():
                self._db.execute(_MARK, (*found.position, found.replays, found.reason, found.at))
            case None:
                pass

    def add_replay(self, record: Record, committed: Mapping[TopicPartition, int]) -> None:
        """Take in a record that was sent again; `committed` is how far its service has come with these."""
        position = position_in(record.headers)
        if position is not None:
            finished = record.offset < committed.get(partition_of(record), 0)
            self._db.execute(_SENT, (*position, replays_in(record.headers), finished))

    def letters(self) -> Iterator[Known]:
        """Every dead letter, in the order in which they stand in their topics."""
        return map(_known, self._db.execute(_KNOWN))


def _known(row: sqlite3.Row) -> Known:
    letter = Letter(
        service=row["service"],
        position=Position(row["topic"], row["part"], row["off"]),
        stands=Position(row["stands_topic"], row["stands_part"], row["stands_off"]),
        error=row["error"],
        type=row["type"],
        key=row["key"],
        time=row["time"],
        died_at=row["died_at"],
        attempts=row["attempts"],
        version=row["version"],
        replays=row["replays"],
        bytes=row["bytes"],
        value_dropped=bool(row["dropped"]),
    )
    replays = max(letter.replays, row["sent_replays"] or 0)
    mark = None
    # A mark is about what had happened by then; a later replay or death is news.
    if row["marked_replays"] is not None and row["marked_replays"] >= replays:
        mark = Mark(letter.position, row["marked_replays"], row["reason"], row["at"])
    state = State.DISCARDED if mark is not None else _state(letter, replays, finished=bool(row["finished"]))
    return Known(letter, row["copies"], replays, state, mark)


def _state(letter: Letter, replays: int, *, finished: bool) -> State:
    if replays > letter.replays:
        return State.HANDLED if finished else State.REPLAYED
    return State.CAME_BACK if replays else State.OPEN
