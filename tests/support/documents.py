"""A database in memory with the driver's own surface, so that the services' real stores run on it.

It knows what those stores use and refuses the rest by name. Every document is read or written between two points at
which the process that asks can be stopped, so a batch can be cut off in its middle; each read gives copies.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pymongo import DeleteMany, IndexModel, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, PyMongoError

from tests.support.lives import reach

Document = dict[str, Any]
Write = UpdateOne | UpdateMany | ReplaceOne[Any] | DeleteMany
_DUPLICATE = 11000


class Documents:
    """The database: collections by name, which outlive the processes that use them."""

    write_concern = None

    def __init__(self) -> None:
        self._collections: dict[str, DocumentCollection] = {}
        #: Nobody answers.
        self.away = False
        #: The errors of the next operations, one each; None lets one through.
        self.failures: list[Exception | None] = []
        #: So many of the next writes are stored without an answer.
        self.lost_answers = 0
        #: Called before each operation with the collection and what is done there: another's chance, or a defect.
        self.meanwhile: Callable[[str, str], None] = lambda _collection, _operation: None

    def __getitem__(self, name: str) -> "DocumentCollection":
        return self._collections.setdefault(name, DocumentCollection(self, name))

    def get_collection(self, name: str) -> "DocumentCollection":
        return self[name]

    async def command(self, name: str) -> None:
        await self.asked("", name)

    async def asked(self, collection: str, operation: str) -> None:
        """An operation begins: it may be refused."""
        await reach(f"before {operation} in {collection}")
        self.meanwhile(collection, operation)
        failure = self.failures.pop(0) if self.failures else None
        if self.away:
            raise AutoReconnect("the database is away")
        if failure is not None:
            raise failure

    async def wrote(self) -> None:
        """A write is over: its answer may be lost."""
        await reach("before the database answers")
        if self.lost_answers:
            self.lost_answers -= 1
            raise AutoReconnect("the answer was lost")


class Result:
    """What a write answers."""

    def __init__(self, matched: int) -> None:
        self.matched_count = matched


class Cursor:
    """A query that was not asked yet."""

    def __init__(self, collection: "DocumentCollection", operation: str, found: Callable[[], list[Document]]) -> None:
        self._collection = collection
        self._operation = operation
        self._found = found
        self._order: list[tuple[str, int]] = []
        self._limit = 0
        self._read: list[Document] | None = None

    def sort(self, field: str, direction: int) -> "Cursor":
        self._order.append((field, direction))
        return self

    def limit(self, limit: int) -> "Cursor":
        self._limit = limit
        return self

    async def to_list(self, length: int | None = None) -> list[Document]:
        """The next documents, all of them for None."""
        await self._collection.db.asked(self._collection.name, self._operation)
        if self._read is None:
            self._read = self._found()
            for field, direction in reversed(self._order):
                self._read.sort(key=lambda d, f=field: d[f], reverse=direction < 0)  # type: ignore[misc]
            self._read = self._read[: self._limit or None]
        given = self._read[:length]
        self._read = self._read[len(given) :]
        return given


class DocumentCollection:
    """One collection, with its unique indexes."""

    def __init__(self, db: Documents, name: str) -> None:
        self.db = db
        self.name = name
        self.documents: dict[Any, Document] = {}
        self._unique: set[tuple[str, ...]] = set()

    async def create_indexes(self, models: Sequence[IndexModel]) -> None:
        await self.db.asked(self.name, "create_indexes")
        self._unique |= {tuple(model.document["key"]) for model in models if model.document.get("unique")}

    def find(self, query: Mapping[str, Any] | None = None, projection: Any = None, **_options: Any) -> Cursor:
        return Cursor(self, "find", lambda: [_projected(d, projection) for d in self._matching(query or {})])

    async def find_one(self, query: Mapping[str, Any], projection: Any = None) -> Document | None:
        found = await self.find(query, projection).limit(1).to_list(1)
        return found[0] if found else None

    async def estimated_document_count(self) -> int:
        await self.db.asked(self.name, "count")
        return len(self.documents)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **_options: Any) -> Cursor:
        return Cursor(self, "aggregate", lambda: _aggregated(list(self._matching({})), pipeline))

    async def insert_one(self, document: Document) -> None:
        await self.insert_many([document])

    async def insert_many(self, documents: Sequence[Document], *, ordered: bool = True) -> None:
        await self.db.asked(self.name, "insert")
        errors = []
        for index, document in enumerate(documents):
            if self._taken(document):
                errors.append({"index": index, "code": _DUPLICATE})
                if ordered:
                    break
                continue
            self.documents[document["_id"]] = deepcopy(document)
            await reach(f"after a document in {self.name}")
        await self.db.wrote()
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})

    async def update_one(self, query: Mapping[str, Any], update: Document, *, upsert: bool = False) -> Result:
        return await self.bulk_write([UpdateOne(query, update, upsert=upsert)])

    async def delete_many(self, query: Mapping[str, Any]) -> Result:
        return await self.bulk_write([DeleteMany(query)])

    async def bulk_write(self, writes: Sequence[Any], *, ordered: bool = True) -> Result:
        await self.db.asked(self.name, "write")
        matched = 0
        for write in writes:
            for document in self._chosen(write):
                matched += 1
                self._apply(write, document)
                await reach(f"after a write in {self.name}")
        await self.db.wrote()
        return Result(matched)

    def _chosen(self, write: Any) -> Iterator[Document]:
        """The stored documents of a write, matched when their turn comes; what is missing is made on request."""
        query = write._filter
        keys = [document["_id"] for document in self._matching(query)]
        if not keys and getattr(write, "_upsert", False):
            made = {"_id": query["_id"]}
            self.documents[made["_id"]] = made
            keys = [made["_id"]]
        for key in keys[:1] if isinstance(write, UpdateOne | ReplaceOne) else keys:
            stored = self.documents.get(key)
            if stored is not None and (_matches(stored, query) or len(stored) == 1):
                yield stored

    def _apply(self, write: Any, stored: Document) -> None:
        if isinstance(write, DeleteMany):
            del self.documents[stored["_id"]]
        elif isinstance(write, ReplaceOne):
            self.documents[stored["_id"]] = deepcopy(dict(write._doc))
        else:
            _updated(stored, write._doc)

    def _matching(self, query: Mapping[str, Any]) -> Iterator[Document]:
        chosen = query.get("_id")
        if isinstance(chosen, str):
            candidates = [self.documents[chosen]] if chosen in self.documents else []
        else:
            candidates = list(self.documents.values())
        return (deepcopy(document) for document in candidates if _matches(document, query))

    def _taken(self, document: Document) -> bool:
        if document["_id"] in self.documents:
            return True
        return any(
            all(document.get(field) == other.get(field) for field in fields)
            for fields in self._unique
            for other in self.documents.values()
        )


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, given: value in given,
    "$nin": lambda value, given: value not in given,
    "$ne": lambda value, given: bool(value != given),
    "$gt": lambda value, given: value is not None and bool(value > given),
    "$gte": lambda value, given: value is not None and bool(value >= given),
    "$lt": lambda value, given: value is not None and bool(value < given),
    "$lte": lambda value, given: value is not None and bool(value <= given),
    "$exists": lambda value, given: (value is not None) == given,
}


def _matches(document: Document, query: Mapping[str, Any]) -> bool:
    return all(_fits(document.get(field), wanted) for field, wanted in query.items())


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping) and all(name.startswith("$") for name in wanted):
        return all(_operator(name)(value, given) for name, given in wanted.items())
    return bool(value == wanted)


def _operator(name: str) -> Callable[[Any, Any], bool]:
    if name not in _OPERATORS:
        raise NotImplementedError(f"tests/support/documents.py does not know {name} yet")
    return _OPERATORS[name]


def _updated(document: Document, update: Mapping[str, Mapping[str, Any]]) -> None:
    for operator, fields in update.items():
        for field, value in fields.items():
            match operator:
                case "$set":
                    document[field] = deepcopy(value)
                case "$unset":
                    document.pop(field, None)
                case "$inc":
                    document[field] = document.get(field, 0) + value
                case "$max":
                    document[field] = max(document.get(field, value), value)
                case "$min":
                    document[field] = min(document.get(field, value), value)
                case "$setOnInsert":
                    document.setdefault(field, value)
                case _:
                    raise NotImplementedError(f"tests/support/documents.py does not know {operator} yet")


def _projected(document: Document, projection: Any) -> Document:
    if not projection:
        return document
    return {name: value for name, value in document.items() if name == "_id" or name in projection}


def _aggregated(documents: list[Document], pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
    """Counts by one field: of all documents, and of those that have `completedAt`."""
    if [*map(list, pipeline)] != [["$group"], ["$sort"], ["$limit"]]:
        raise NotImplementedError("tests/support/documents.py knows one aggregation alone: the completion ratios")
    field = str(pipeline[0]["$group"]["_id"]).removeprefix("$")
    groups: defaultdict[Any, list[Document]] = defaultdict(list)
    for document in documents:
        groups[document[field]].append(document)
    counted = [
        {"_id": key, "all": len(group), "done": sum(d.get("completedAt") is not None for d in group)}
        for key, group in groups.items()
    ]
    return sorted(counted, key=lambda d: (-d["all"], d["_id"]))[: pipeline[2]["$limit"]]


#: What the driver says when nobody answers.
AWAY: PyMongoError = AutoReconnect("the database is away")
