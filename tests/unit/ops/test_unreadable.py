"""What can be read of the database passes, and what cannot is named: nobody who looks at everything ends at it."""

from typing import Any, cast

import pytest
from bson import Int64, ObjectId

from ops.unreadable import Sieve
from shared.mongo.batches import Batches, Document
from shared.mongo.client import Database
from shared.settings import MongoSettings
from tests.support.issuer import NOW

RECORD = {"_id": "a", "userId": "u", "lessonId": "l", "courseId": "c", "enrollmentId": "e", "completedAt": NOW}


def sifted(collection: str, document: Document, *fields: str) -> tuple[int, list[tuple[str, str]]]:
    """How many passed, and who was told of."""
    told: list[tuple[str, str]] = []
    passed = Sieve(lambda *place: told.append(place))(collection, fields, [document])
    return len(passed), told


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("lessonProgress", {name: value for name, value in RECORD.items() if name != "completedAt"}),
        ("lessonProgress", RECORD | {"completedAt": "yesterday"}),
        ("lessonProgress", RECORD | {"userId": 7}),
        ("enrollments", {"_id": "a", "userId": "u", "courseId": "c", "progressPercent": "half"}),
        ("certificates", {"_id": "a", "enrollmentId": "e", "userId": "u", "courseId": "c", "status": "lost"}),
        ("fs.files", {"_id": "a", "length": 3}),
        ("notifications", {"_id": "a", "userId": "u"}),
    ],
)
def test_a_document_that_lacks_what_rules_need_is_told_of_and_passed_over(collection: str, document: Document) -> None:
    assert sifted(collection, document) == (0, [(collection, "a")])


def test_an_id_that_nobody_gives_is_told_of() -> None:
    identity = ObjectId()
    assert sifted("lessonProgress", RECORD | {"_id": identity}) == (0, [("lessonProgress", str(identity))])


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("lessonProgress", RECORD | {"completedAt": Int64(NOW)}),
        ("enrollments", {"_id": "a", "userId": "u", "courseId": "c", "enrolledAt": 1.5e12, "progressPercent": 0}),
        ("lessons", {"_id": "a"}),
        ("users", {"_id": 7}),
    ],
)
def test_what_services_write_and_whatever_is_not_theirs_passes(collection: str, document: Document) -> None:
    assert sifted(collection, document) == (1, [])


def test_only_what_was_read_is_looked_at() -> None:
    assert sifted("lessonProgress", {"_id": "a", "userId": "u"}, "userId") == (1, [])
    assert sifted("lessonProgress", {"_id": "a"}, "userId") == (0, [("lessonProgress", "a")])


async def test_a_page_is_filled_with_what_can_be_read() -> None:
    class Collection:
        def find(self, query: dict[str, Any], *_: object, **__: object) -> "Collection":
            self.after = query["_id"]["$gt"] if query else ""
            return self

        def sort(self, *_: object) -> "Collection":
            return self

        def limit(self, count: int) -> "Collection":
            self.count = count
            return self

        async def to_list(self, _: None) -> list[Document]:
            torn: list[Document] = [{"_id": "b"}, {"_id": "c"}]
            every = [RECORD, *torn, RECORD | {"_id": "d"}, RECORD | {"_id": "e"}]
            return [document for document in every if document["_id"] > self.after][: self.count]

    told: list[str] = []
    sieve = Sieve(lambda _, identity: told.append(identity))
    batches = Batches(cast("Database", {"lessonProgress": Collection()}), MongoSettings(), sieve)

    pages = [await batches.page("lessonProgress", after, 2) for after in (None, "d", "e")]

    assert [[document["_id"] for document in page] for page in pages] == [["a", "d"], ["e"], []]
    assert told == ["b", "c"]
