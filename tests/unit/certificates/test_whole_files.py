"""Whether a PDF is whole is known without reading it."""

from typing import Any, cast

from services.certificates.storage import MongoStore
from shared.mongo.client import Database
from shared.settings import MongoSettings


class Collection:
    """Some documents, and what was asked of each."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self._documents = documents
        self.shown: object = None

    def find(self, _: object, shown: object, **__: object) -> "Collection":
        self.shown = shown
        return self

    async def to_list(self, _: None) -> list[dict[str, Any]]:
        return list(self._documents)


async def test_the_chunks_of_a_file_are_counted_from_their_index_alone() -> None:
    files = Collection({"_id": "whole", "length": 5, "chunkSize": 3}, {"_id": "torn", "length": 5, "chunkSize": 3})
    chunks = Collection({"files_id": "whole"}, {"files_id": "whole"}, {"files_id": "torn"})
    others = {"certificates": Collection(), "notifications": Collection()}
    db = cast("Database", {"fs.files": files, "fs.chunks": chunks, **others})

    assert await MongoStore(db, MongoSettings()).whole_files(["whole", "torn"]) == {"whole"}
    assert chunks.shown == {"files_id": 1, "_id": 0}  # any field more, and every document is fetched
