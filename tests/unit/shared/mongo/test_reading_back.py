"""What was there already is read back; while that cannot be, nobody knows what is stored, and the record waits."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from services.certificates.domain import Certificate, Notification, PdfFile
from services.certificates.storage import MongoStore
from services.progress.domain import Completion
from services.progress.storage import MongoProgressStore
from shared.errors import Transient
from shared.mongo.client import Database
from shared.settings import MongoSettings


class Unread:
    """Batches of a database that refuses every insert as a duplicate, and does not show what it has."""

    def __init__(self) -> None:
        self.inserted: list[str] = []

    async def insert(self, collection: str, documents: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        self.inserted.append(collection)
        return documents

    async def find(self, *_: object, **__: object) -> list[dict[str, Any]]:
        return []


class Collections:
    def __getitem__(self, _: str) -> None:
        """No collection is asked directly."""


def certificates(unread: Unread) -> MongoStore:
    store = MongoStore(cast("Database", Collections()), MongoSettings())
    store._batches = cast("Any", unread)
    return store


async def test_a_record_that_exists_and_cannot_be_read_yet_waits() -> None:
    store = MongoProgressStore(cast("Database", Collections()), MongoSettings())
    store._batches = cast("Any", Unread())
    with pytest.raises(Transient, match="cannot be read yet"):
        await store.record([Completion("progress-1", "ada", "lesson-1", "bread", "enrollment-1", 1)])


async def test_a_certificate_that_exists_and_cannot_be_read_yet_waits() -> None:
    claimed = Certificate("certificate-1", "enrollment-1", "ada", "bread", "Ada", "Bread", None)
    with pytest.raises(Transient, match="cannot be read yet"):
        await certificates(Unread()).claim([claimed])


async def test_a_notification_that_exists_and_cannot_be_read_yet_waits() -> None:
    told = Notification("notification-1", "ada", "course_completed", "Course completed", "Well done", "http://x/", 1)
    with pytest.raises(Transient, match="cannot be read yet"):
        await certificates(Unread()).tell([told])


async def test_a_file_can_be_found_when_all_its_chunks_are_there() -> None:
    unread = Unread()
    await certificates(unread).keep([PdfFile("file-1", "certificate-1", b"%PDF")])
    assert unread.inserted == ["fs.chunks", "fs.files"]
