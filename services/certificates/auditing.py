"""The Mongo side of the audit: it reads what the service wrote, page by page, and changes nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import structlog
from pymongo import ASCENDING

from services.certificates.domain import Certificate, Enrollment, Particulars
from services.certificates.storage import MongoStore
from shared.mongo.batches import Batches, Document, Sift
from shared.mongo.client import Database, translated
from shared.settings import MongoSettings

_log = structlog.get_logger()

_PLACE = ("userId", "courseId", "completedAt")


class MongoAuditStore:
    """What the audit reads of `enrollments` and of all that certificates owns."""

    def __init__(self, db: Database, settings: MongoSettings, sift: Sift | None = None) -> None:
        self._db = db
        self._batches = Batches(db, settings, sift)
        self._store = MongoStore(db, settings, sift)

    async def completed_after(self, enrollment_id: str | None, limit: int) -> Sequence[Enrollment]:
        """The next completed enrollments in the order of their ids; fewer than `limit` are the last."""
        query: Document = {"completedAt": {"$ne": None}}
        page: list[Enrollment] = []
        while len(page) < limit:
            if enrollment_id is not None:
                query["_id"] = {"$gt": enrollment_id}
            missing = limit - len(page)
            with translated():
                cursor = self._db["enrollments"].find(query, dict.fromkeys(_PLACE, 1), batch_size=missing)
                found = await cursor.sort("_id", ASCENDING).limit(missing).to_list(None)
            page.extend(_readable(self._batches.sifted("enrollments", _PLACE, found)))
            if len(found) < missing:
                break
            enrollment_id = found[-1]["_id"]
        return page

    async def certificate_count(self) -> int:
        """About how many certificates there are."""
        with translated():
            return int(await self._db["certificates"].estimated_document_count())

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """Those of the enrollments that exist and have `completedAt`, by id."""
        return await self._store.completed(enrollment_ids)

    async def certificates(self, enrollment_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by enrollment id."""
        return await self._store.certificates(enrollment_ids)

    async def particulars(self, enrollments: Collection[Enrollment]) -> Mapping[str, Particulars]:
        """Names and titles as they are now, by enrollment id."""
        return await self._store.particulars(enrollments)

    async def filed(self, file_ids: Collection[str]) -> Collection[str]:
        """Those of these files whose chunks are all there; of the chunks only their places are read."""
        return await self._store.whole_files(file_ids)

    async def told(self, notification_ids: Collection[str]) -> Collection[str]:
        """Those of these notifications that are stored."""
        found = await self._batches.find("notifications", "_id", notification_ids, ("_id",))
        return {document["_id"] for document in found}


def _readable(documents: Sequence[Document]) -> Iterator[Enrollment]:
    """Those that say who completed which course; another one must not hold up its neighbours."""
    for document in documents:
        if all(isinstance(document.get(name), str) for name in ("userId", "courseId")):
            place = (document["_id"], document["userId"], document["courseId"])
            yield Enrollment(*place, int(document["completedAt"]))
        else:
            _log.warning("enrollment.unreadable", enrollmentId=str(document["_id"]))
