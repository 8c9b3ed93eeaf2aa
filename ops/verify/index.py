"""The temporary index on disk: what must be joined, sorted by the database's own external sort; no memory of ours."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from shared.kafka.deadletter import Header

FACT, EVENT, COMMAND = range(3)
#: Of a command: it lies below the committed offset; it has a dead letter; the broker stamped its time.
SETTLED, LETTERED, STAMPED = 1, 2, 4

_PAGES_KIB = 16 * 1024
_TABLES = """
create table ledger (id blob, side int, digest blob, at int, flags int, place text, enrollment text, subject text);
create table letters (
    topic text, partition int, offset int, replays int, digest blob, appended blob, seen int,
    primary key (topic, partition, offset, replays)
) without rowid;
create table pending (key text primary key) without rowid;
create table unreadable (collection text, id text, primary key (collection, id)) without rowid;
create table flaws (kind text, subject text, enrollment text);
create table suspects (
    place text primary key, topic text, marked blob, rejected blob, without text, note text, evidence int
) without rowid;
create index suspects_marked on suspects (marked);
create index suspects_rejected on suspects (rejected);
"""


class Entry(NamedTuple):
    """One line of the ledger: a fact, an event or a command, under the id of the event they have in common."""

    id: bytes
    side: int
    #: What makes two events the same; none of a command.
    digest: bytes | None = None
    #: The fact's own time, or the command's record time, epoch ms.
    at: int | None = None
    flags: int = 0
    #: Where an event or a command stands.
    place: str | None = None
    enrollment: str | None = None
    subject: str | None = None


class Death(NamedTuple):
    """What names a dead letter: where its record stood at first, and how often it had been replayed."""

    topic: str
    partition: int
    offset: int
    replays: int


class StoredLetter(NamedTuple):
    """A dead letter: its digest, and the headers that the service appended to the record's own."""

    death: Death
    digest: bytes
    appended: tuple[Header, ...]


class Suspect(NamedTuple):
    """A command without a fact that may have been answered, and what it is without an answer."""

    place: str
    topic: str
    #: The ids of its answers, if it had any: recorded, rejected.
    marked: bytes
    rejected: bytes
    without: str
    #: Whose it is, and when it was written.
    note: str


def key_of(identity: bytes | str) -> bytes:
    """An id of any length, in the 16 bytes it has here."""
    return blake2b(identity.encode() if isinstance(identity, str) else identity, digest_size=16).digest()


class Index:
    """A database of its own in `folder`, which whoever opens it removes."""

    def __init__(self, folder: Path) -> None:
        # One thread at a time uses it: the long sort runs beside the event loop, which waits for it.
        self._db = sqlite3.connect(folder / "index.sqlite", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;"
            f"pragma temp_store = file; pragma cache_size = -{_PAGES_KIB};" + _TABLES + "begin;"
        )

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()

    def interrupt(self) -> None:
        """End a query that runs on another thread."""
        self._db.interrupt()

    def add(self, entries: Iterable[Entry]) -> None:
        """Write lines into the ledger."""
        self._db.executemany("insert into ledger values (?, ?, ?, ?, ?, ?, ?, ?)", entries)

    def sort(self) -> Iterator[Entry]:
        """Every line, those of one id together: facts, then events, then commands. The first one takes the time."""
        for row in self._db.execute("select * from ledger order by id, side"):
            yield Entry(*row)

    def add_letter(self, letter: StoredLetter) -> StoredLetter | None:
        """Keep a dead letter; answers the one of the same death, if there was one."""
        if (before := self._letter(letter.death)) is not None:
            return before
        row = (*letter.death, letter.digest, _packed(letter.appended), 0)
        self._db.execute("insert into letters values (?, ?, ?, ?, ?, ?, ?)", row)
        return None

    def letter(self, death: Death) -> StoredLetter | None:
        """The dead letter of this death; it counts as seen from now on."""
        seen = "update letters set seen = 1 where topic = ? and partition = ? and offset = ? and replays = ?"
        self._db.execute(seen, death)
        return self._letter(death)

    def letters(self, topic: str, partition: int, first: int, last: int) -> dict[int, StoredLetter]:
        """The dead letters of these records, never replayed, by offset; they count as seen from now on."""
        place = (topic, partition, first, last)
        span = "where topic = ? and partition = ? and offset between ? and ? and replays = 0"
        rows = self._db.execute(f"select * from letters {span}", place).fetchall()  # noqa: S608 - it stands above
        if rows:
            self._db.execute(f"update letters set seen = 1 {span}", place)  # noqa: S608 - it stands above
        return {row[2]: _letter(row) for row in rows}

    def letters_unseen(self) -> Iterator[Death]:
        """Dead letters whose records were not met."""
        for row in self._db.execute("select topic, partition, offset, replays from letters where not seen"):
            yield Death(*row)

    def _letter(self, death: Death) -> StoredLetter | None:
        query = "select * from letters where topic = ? and partition = ? and offset = ? and replays = ?"
        row = self._db.execute(query, death).fetchone()
        return None if row is None else _letter(row)

    def add_pending(self, keys: Iterable[str]) -> None:
        """Note enrollments and courses that a record on its way names."""
        self._db.executemany("insert or ignore into pending values (?)", ((key,) for key in keys))

    def pending(self, keys: Collection[str]) -> set[str]:
        """Those of these that a record on its way names."""
        return {key for (key,) in self._db.execute(f"select key from pending where key in ({_marks(keys)})", [*keys])}  # noqa: S608 - question marks alone

    def add_unreadable(self, collection: str, identity: str) -> None:
        """Note a document that cannot be read, once."""
        self._db.execute("insert or ignore into unreadable values (?, ?)", (collection, identity))

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """Every document that cannot be read: its collection and its id."""
        yield from self._db.execute("select collection, id from unreadable order by collection, id")

    def add_flaws(self, flaws: Iterable[tuple[str, str, str]]) -> None:
        """Note what is to be looked at again: kind, subject, enrollment."""
        self._db.executemany("insert into flaws values (?, ?, ?)", flaws)

    def flaws(self, page: int) -> Iterator[list[tuple[str, str, str]]]:
        """What is to be looked at again, page by page, those of one enrollment together."""
        cursor = self._db.execute("select kind, subject, enrollment from flaws order by enrollment, kind, subject")
        while rows := cursor.fetchmany(page):
            yield rows

    def add_suspect(self, suspect: Suspect) -> None:
        """Note a command that only its answer can tell about."""
        self._db.execute("insert or replace into suspects values (?, ?, ?, ?, ?, ?, 0)", suspect)

    def suspects_answered(self, ids: Sequence[bytes]) -> None:
        """Note which suspects these replies answer; marked as recorded weighs more than rejected."""
        for column, weight in (("marked", 2), ("rejected", 1)):
            update = f"update suspects set evidence = evidence | {weight} where {column} in ({_marks(ids)})"  # noqa: S608 - question marks alone
            self._db.execute(update, list(ids))

    def suspects(self) -> Iterator[tuple[str, str, str, str, int]]:
        """Every suspect: place, topic, what it is without an answer, its note, and the evidence."""
        yield from self._db.execute("select place, topic, without, note, evidence from suspects order by place")

    def has_suspects(self) -> bool:
        """Whether there is any."""
        return self._db.execute("select 1 from suspects limit 1").fetchone() is not None


def _letter(row: Sequence[Any]) -> StoredLetter:
    return StoredLetter(Death(*row[:4]), row[4], _unpacked(row[5]))


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))


def _packed(headers: Iterable[Header]) -> bytes:
    return b"\n".join(name.encode() + b"=" + (value or b"") for name, value in headers)


def _unpacked(packed: bytes) -> tuple[Header, ...]:
    lines = packed.split(b"\n") if packed else []
    return tuple((name.decode(), value) for name, _, value in (line.partition(b"=") for line in lines))
