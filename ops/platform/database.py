"""The little that an import needs of a database: find, insert many, write in bulk."""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Keys
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from pymongo import UpdateOne
from pymongo.errors import OperationFailure, PyMongoError

from ops.platform.problems import ImportInterrupted

#: Keys asked for at once: some servers compare every document with every key, so more would cost more than they save.
_KEYS_AT_ONCE: Final = 100

T = TypeVar("T")


class Cursor(Protocol):
    """What a query found."""

    def to_list(self, length: int | None, /) -> Awaitable[list[Any]]:
        """Fetch the documents, all of them for None."""


class Collection(Protocol):
    """A collection of documents, as Motor offers it."""

    def estimated_document_count(self) -> Awaitable[int]:
        """Tell how many documents there are, about."""

    def find(self, query: Mapping[str, Any], projection: Mapping[str, bool], /) -> Cursor:
        """Start a query."""

    def insert_many(self, documents: Sequence[Any], /, *, ordered: bool) -> Awaitable[object]:
        """Store new documents."""

    def bulk_write(self, requests: Sequence[UpdateOne], /, *, ordered: bool) -> Awaitable[object]:
        """Change stored documents."""


class Database(Protocol):
    """A database, as Motor offers it."""

    def __getitem__(self, name: str, /) -> Collection: ...


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut `items` into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


async def find_by(
    database: Database, name: str, key: str, values: Keys[str], fields: Iterable[str]
) -> list[Mapping[str, Any]]:
    """Find the documents of the collection `name` whose field `key` is one of `values`, with `_id`, `key` and `fields`.

    A collection that is not much larger than the question is read as a whole, in one pass.

    Raises:
        ImportInterrupted: the database does not answer.
    """
    wanted, projection = frozenset(values), dict.fromkeys((key, *fields), True)
    collection, found = database[name], list[Mapping[str, Any]]()
    with failures_named(name):
        if await collection.estimated_document_count() <= 2 * len(wanted):
            everything = await collection.find({}, projection).to_list(None)
            return [document for document in everything if document.get(key) in wanted]
        for some in chunks(list(wanted), _KEYS_AT_ONCE):
            found += await collection.find({key: {"$in": some}}, projection).to_list(None)
    return found


@contextmanager
def failures_named(collection: str) -> Iterator[None]:
    """Turn the driver's errors into one sentence that names the collection.

    Raises:
        ImportInterrupted: instead of any of them.
    """
    try:
        yield
    except PyMongoError as error:
        code = f" {error.code}" if isinstance(error, OperationFailure) else ""
        raise ImportInterrupted(
            f"The database failed at {collection} ({type(error).__name__}{code}); "
            "what it took is right, and the same import can run again"
        ) from error
