"""The same database mode as the product's, on PyMongo's own asyncio client."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from tests.bench.baseline.settings import Settings

Document = dict[str, Any]

_DUPLICATE_KEY = 11000


class Database:
    """Majority reads, majority writes flushed to the log, as many keys a query as the stack's setting says."""

    def __init__(self, settings: Settings) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            settings.mongo_uri, retryWrites=False, tz_aware=True
        )
        self._db: AsyncDatabase[Document] = self._client.get_database(
            settings.mongo_database,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        self._keys = settings.keys_per_query
        self._in_transaction = settings.bulk_in_transaction

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def unique(self, collection: str, *fields: str) -> None:
        """Make a unique index."""
        await self._db[collection].create_index([(field, 1) for field in fields], unique=True)

    async def index(self, collection: str, *fields: str) -> None:
        """Make an index."""
        await self._db[collection].create_index([(field, 1) for field in fields])

    async def find(
        self, collection: str, field: str, values: Collection[str], fields: Sequence[str], **where: Any
    ) -> list[Document]:
        """The documents whose `field` is one of `values`."""
        keys, wanted = list(values), dict.fromkeys(fields, 1)
        chunks = [keys[start : start + self._keys] for start in range(0, len(keys), self._keys)]
        cursors = [
            self._db[collection].find({field: {"$in": chunk}, **where}, wanted, batch_size=10_000) for chunk in chunks
        ]
        if len(cursors) == 1:
            return await cursors[0].to_list(None)
        return [d for found in await asyncio.gather(*(cursor.to_list(None) for cursor in cursors)) for d in found]

    async def insert(self, collection: str, documents: Sequence[Document]) -> list[Document]:
        """Insert what is not there yet; answers those of the documents whose key was taken."""
        try:
            await self._db[collection].insert_many(documents, ordered=False)
        except BulkWriteError as partial:
            errors = partial.details["writeErrors"]
            if any(error["code"] != _DUPLICATE_KEY for error in errors) or partial.details["writeConcernErrors"]:
                raise
            return [error["op"] for error in errors]
        return []

    async def update(self, collection: str, updates: list[UpdateOne]) -> int:
        """Conditional updates in one bulk; answers how many found their document as expected."""
        if not self._in_transaction:
            return (await self._db[collection].bulk_write(updates, ordered=False)).matched_count
        async with self._client.start_session() as session, await session.start_transaction():
            result = await self._db[collection].bulk_write(updates, ordered=False, session=session)
            return result.matched_count

    async def set_all(self, collection: str, ids: list[str], values: Document, **where: Any) -> None:
        """Give all of these documents the same values."""
        await self._db[collection].update_many({"_id": {"$in": ids}, **where}, {"$set": values})
