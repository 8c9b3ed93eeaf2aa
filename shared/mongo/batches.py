"""Batches of reads, inserts and conditional updates, in as few round trips as the server takes well."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pymongo import ASCENDING, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from shared.mongo.client import DUPLICATE_KEY, Database, translated
from shared.settings import MongoSettings

Document = dict[str, Any]
#: Of a collection's documents, read with these fields (all when empty), those that are as they ought to be.
Sift = Callable[[str, Sequence[str], list[Document]], list[Document]]


class Batches:
    """Reads by many keys, inserts and updates many documents of one database.

    How many keys a query holds, and whether a bulk of updates is one transaction, are matters of the server: see the
    settings `MONGO__KEYS_PER_QUERY` and `MONGO__BULK_IN_TRANSACTION`.

    A service reads whatever is there, and a document that it cannot understand fails the record that asks for it. Who
    looks at every document gives a `sift`, and sees none of those.
    """

    def __init__(self, db: Database, settings: MongoSettings, sift: Sift | None = None) -> None:
        self._db = db
        self._sift = sift
        self._keys = settings.keys_per_query
        self._in_transaction = settings.bulk_in_transaction

    async def find(
        self,
        collection: str,
        field: str,
        values: Collection[str | None],
        fields: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        *,
        with_id: bool = True,
    ) -> list[Document]:
        """The documents whose `field` is one of `values`, with these fields (all when empty), in no order.

        Without their ids, MongoDB answers from an index that holds the fields, and reads no document.

        Raises:
            Transient: the database does not answer.
        """
        shown = dict.fromkeys(fields, 1) | ({} if with_id else {"_id": 0})
        chunks = list(_chunks([v for v in values if v is not None], self._keys))
        with translated():
            found = await asyncio.gather(*(self._find(collection, field, chunk, shown, where) for chunk in chunks))
        return self.sifted(collection, fields, [document for documents in found for document in documents])

    def sifted(self, collection: str, fields: Sequence[str], documents: list[Document]) -> list[Document]:
        """Those of these documents that whoever reads here wants to see."""
        return documents if self._sift is None else self._sift(collection, fields, documents)

    async def _find(
        self,
        collection: str,
        field: str,
        chunk: Sequence[str],
        shown: Mapping[str, int],
        where: Mapping[str, Any] | None,
    ) -> list[Document]:
        query = {field: {"$in": chunk}, **(where or {})}
        cursor = self._db[collection].find(query, shown or None, batch_size=10_000)
        documents: list[Document] = await cursor.to_list(None)
        return documents

    async def page(
        self, collection: str, after: object | None, limit: int, fields: Sequence[str] = ()
    ) -> list[Document]:
        """The next documents in the order of their ids, from the first on for None; fewer than `limit` are the last.

        Raises:
            Transient: the database does not answer.
        """
        page: list[Document] = []
        while len(page) < limit:
            query, missing = {} if after is None else {"_id": {"$gt": after}}, limit - len(page)
            with translated():
                cursor = self._db[collection].find(query, dict.fromkeys(fields, 1) or None, batch_size=missing)
                found: list[Document] = await cursor.sort("_id", ASCENDING).limit(missing).to_list(None)
            page += self.sifted(collection, fields, found)
            if len(found) < missing:
                break
            after = found[-1]["_id"]
        return page

    async def insert(self, collection: str, documents: Sequence[Document]) -> list[Document]:
        """Insert documents, each alone; answers those that were refused because theirs is there already.

        Raises:
            Transient: the database cannot say whether it stored them.
            BulkWriteError: one was refused for another reason.
        """
        if not documents:
            return []
        with translated():
            try:
                await self._db[collection].insert_many(documents, ordered=False)
            except BulkWriteError as partial:
                details = partial.details or {}
                errors = details.get("writeErrors", [])
                if details.get("writeConcernErrors") or any(error["code"] != DUPLICATE_KEY for error in errors):
                    raise
                return [documents[error["index"]] for error in errors]
        return []

    async def update(self, collection: str, updates: Sequence[UpdateOne | UpdateMany]) -> int:
        """Apply conditional updates, each alone; answers how many found their document as they expected it.

        Raises:
            Transient: the database cannot say whether it stored them.
        """
        with translated():
            # One update is whole by itself: a transaction would only cost it a second round trip.
            if not self._in_transaction or (len(updates) == 1 and isinstance(updates[0], UpdateOne)):
                return int((await self._db[collection].bulk_write(list(updates), ordered=False)).matched_count)
            # A transaction takes the client's write concern where it is given none, and the client's is not durable.
            durable = self._db.write_concern
            async with (
                await self._db.client.start_session() as session,
                session.start_transaction(write_concern=durable),
            ):
                result = await self._db[collection].bulk_write(list(updates), ordered=False, session=session)
                return int(result.matched_count)


def _chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk
