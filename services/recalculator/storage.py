"""The Mongo side of the recalculator's ports: documents to domain and back, every write conditional."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateMany, UpdateOne

from services.recalculator.domain import (
    BackgroundAudit,
    CourseChange,
    Enrollment,
    Fact,
    Lesson,
    Progress,
    Recalculated,
    Sweep,
)
from shared.mongo.batches import Batches, Document, Sift
from shared.mongo.client import Database, translated
from shared.settings import MongoSettings

_log = structlog.get_logger()

_ENROLLMENTS = "enrollments"
_SWEEPS = "courseSweeps"
_AUDITS = "driftAudits"
#: The one document of the audit in the background.
_DRIFT = "drift"
#: Fields of its state and their names in the document.
_AUDIT = {
    "revision": "revision",
    "holder": "holder",
    "started_at": "startedAt",
    "running": "running",
    "cursor": "cursor",
    "compared": "compared",
    "more": "more",
    "more_before": "moreBefore",
}
_STATE = (
    "userId",
    "courseId",
    "enrolledAt",
    "progressedAt",
    "completedLessons",
    "totalLessons",
    "progressPercent",
    "completedAt",
    "revision",
    "sweeps",
)
#: Lesson ids one query names at most: with more, the learners' records of other courses cost less than their names do.
_LESSONS_NAMED = 1_000
_RATIOS_MS = 10_000


class MongoRecalculatorStore:
    """Progress in `enrollments`, `courseSweeps` and `driftAudits` are written here alone; all else is read."""

    def __init__(self, db: Database, settings: MongoSettings, sift: Sift | None = None) -> None:
        self._batches = Batches(db, settings, sift)
        self._enrollments = db[_ENROLLMENTS]
        self._sweeps = db[_SWEEPS]
        self._audits = db[_AUDITS]

    async def prepare(self) -> None:
        """Make the indexes of enrollments.

        One gives a course's enrollments in the order of their ids, page by page, without sorting; the other gives
        certificates the latest that were completed.
        """
        by_course = IndexModel([("courseId", ASCENDING), ("_id", ASCENDING)])
        by_completion = IndexModel([("completedAt", ASCENDING)], sparse=True)
        with translated():
            await self._enrollments.create_indexes([by_course, by_completion])

    async def enrollments(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """The enrollments that exist, by id."""
        found = await self._batches.find(_ENROLLMENTS, "_id", enrollment_ids, _STATE)
        return {d["_id"]: _enrollment(d) for d in _readable(found)}

    async def enrollments_after(
        self, enrollment_id: str | None, limit: int, *, course_id: str | None = None
    ) -> Sequence[Enrollment]:
        """The next enrollments in the order of their ids, of one course or of all; fewer than `limit` are the last."""
        query: Document = {} if course_id is None else {"courseId": course_id}
        page: list[Enrollment] = []
        while len(page) < limit:
            if enrollment_id is not None:
                query["_id"] = {"$gt": enrollment_id}
            missing = limit - len(page)
            with translated():
                cursor = self._enrollments.find(query, dict.fromkeys(_STATE, 1), batch_size=missing)
                found = await cursor.sort("_id", ASCENDING).limit(missing).to_list(None)
            page.extend(_enrollment(d) for d in _readable(self._batches.sifted(_ENROLLMENTS, _STATE, found)))
            if len(found) < missing:
                break
            enrollment_id = found[-1]["_id"]
        return page

    async def enrollment_count(self) -> int:
        """About how many enrollments there are."""
        with translated():
            return int(await self._enrollments.estimated_document_count())

    async def lessons(self, course_ids: Collection[str]) -> Sequence[Lesson]:
        """The lessons of these courses' modules, previews included."""
        modules = await self._batches.find("courseModules", "courseId", course_ids, ("courseId",))
        course_of = {d["_id"]: d["courseId"] for d in modules}
        lessons = await self._batches.find("lessons", "moduleId", course_of.keys(), ("moduleId", "isPreview"))
        return [Lesson(d["_id"], course_of[d["moduleId"]], bool(d.get("isPreview", False))) for d in lessons]

    async def facts(self, user_ids: Collection[str], lesson_ids: Collection[str]) -> Mapping[str, Sequence[Fact]]:
        """These learners' records by user id, at least those of these lessons, whatever enrollment they carry."""
        facts: defaultdict[str, list[Fact]] = defaultdict(list)
        if not lesson_ids:
            return facts
        named = {"lessonId": {"$in": list(lesson_ids)}} if len(lesson_ids) <= _LESSONS_NAMED else None
        fields = ("userId", "lessonId", "completedAt")
        for d in await self._batches.find("lessonProgress", "userId", user_ids, fields, where=named):
            facts[d["userId"]].append(Fact(d["lessonId"], d["completedAt"]))
        return facts

    async def mark(self, enrollment_ids: Collection[str]) -> None:
        """Make every state of these that others are still computing one that is no longer as it was read."""
        marked = UpdateMany({"_id": {"$in": list(enrollment_ids)}}, {"$inc": {"sweeps": 1}})
        await self._batches.update(_ENROLLMENTS, [marked])

    async def save(self, changes: Collection[Recalculated]) -> bool:
        """Store each new state where the stored one is still as it was read; answers whether all of them were."""
        return await self._batches.update(_ENROLLMENTS, [_update(c) for c in changes]) == len(changes)

    async def request_sweeps(self, requested_at: Mapping[str, int]) -> None:
        """Store that these courses changed: their sweeps start from the beginning."""
        restart = {"$inc": {"revision": 1}, "$unset": {"cursor": "", "finishedAt": ""}}
        await self._batches.update(
            _SWEEPS,
            [
                UpdateOne({"_id": course_id}, {"$max": {"requestedAt": at}, **restart}, upsert=True)
                for course_id, at in requested_at.items()
            ],
        )

    async def open_sweeps(self, limit: int) -> Sequence[Sweep]:
        """Sweeps that are not finished, at most `limit` of them."""
        with translated():
            found = await self._sweeps.find({"finishedAt": None}).limit(limit).to_list(None)
        return [Sweep(d["_id"], d["requestedAt"], d["revision"], d.get("cursor")) for d in found]

    async def advance_sweep(self, sweep: Sweep, cursor: str | None, finished_at: int | None) -> bool:
        """Move a sweep's cursor, or finish it, where nobody else did; answers whether it moved."""
        place = {"_id": sweep.course_id, "revision": sweep.revision, "cursor": sweep.cursor}
        moved = {name: value for name, value in (("cursor", cursor), ("finishedAt", finished_at)) if value is not None}
        with translated():
            result = await self._sweeps.update_one(place, {"$set": moved})
        return bool(result.matched_count)

    async def completion_ratios(self, limit: int) -> Mapping[str, float]:
        """Completed enrollments / all, by course id, of the courses with the most enrollments."""
        done = {"$cond": [{"$ne": [{"$ifNull": ["$completedAt", None]}, None]}, 1, 0]}
        pipeline: list[Document] = [
            {"$group": {"_id": "$courseId", "all": {"$sum": 1}, "done": {"$sum": done}}},
            {"$sort": {"all": -1, "_id": 1}},
            {"$limit": limit},
        ]
        with translated():
            courses = await self._enrollments.aggregate(pipeline, maxTimeMS=_RATIOS_MS).to_list(None)
        return {d["_id"]: d["done"] / d["all"] for d in courses}

    async def background_audit(self) -> BackgroundAudit:
        """How far the audit in the background has come; before its first step nowhere."""
        with translated():
            document = await self._audits.find_one({"_id": _DRIFT})
        return BackgroundAudit() if document is None else _background_audit(document)

    async def advance_background_audit(self, before: BackgroundAudit, after: BackgroundAudit) -> bool:
        """Store a step of the audit where its revision is still as it was read; answers whether it was."""
        state = {name: getattr(after, field) for field, name in _AUDIT.items()} | {"known": sorted(after.known)}
        if before.revision == 0:
            return not await self._batches.insert(_AUDITS, [{"_id": _DRIFT, **state}])
        with translated():
            result = await self._audits.update_one({"_id": _DRIFT, "revision": before.revision}, {"$set": state})
        return bool(result.matched_count)

    async def changes(self, course_ids: Collection[str]) -> Mapping[str, CourseChange]:
        """The latest change of each of these courses that was ever announced, by course id."""
        found = await self._batches.find(_SWEEPS, "_id", course_ids, ("requestedAt", "finishedAt"))
        return {d["_id"]: CourseChange(d["requestedAt"], d.get("finishedAt") is None) for d in found}

    async def latest_change(self) -> int:
        """When any course was changed last (epoch ms); 0 before the first change."""
        with translated():
            latest = (
                await self._sweeps.find({"requestedAt": {"$gte": 0}}, {"requestedAt": 1})
                .sort("requestedAt", DESCENDING)
                .limit(1)
                .to_list(1)
            )
        return int(latest[0]["requestedAt"]) if latest else 0


def _readable(documents: Iterable[Document]) -> Iterator[Document]:
    """Those that say whose enrollment in which course they are; another one must not hold up its neighbours."""
    for document in documents:
        if isinstance(document.get("userId"), str) and isinstance(document.get("courseId"), str):
            yield document
        else:
            _log.warning("enrollment.unreadable", enrollmentId=str(document["_id"]))


def _enrollment(document: Mapping[str, Any]) -> Enrollment:
    progress = Progress(
        completed=document.get("completedLessons") or 0,
        total=document.get("totalLessons") or 0,
        percent=float(document.get("progressPercent") or 0),
        completed_at=document.get("completedAt"),
    )
    return Enrollment(
        enrollment_id=document["_id"],
        user_id=document["userId"],
        course_id=document["courseId"],
        progress=progress,
        progressed_at=document.get("progressedAt") or document.get("enrolledAt") or 0,
        revision=document.get("revision") or 0,
        sweeps=document.get("sweeps") or 0,
    )


def _background_audit(document: Document) -> BackgroundAudit:
    fields: dict[str, Any] = {field: document[name] for field, name in _AUDIT.items()}
    return BackgroundAudit(**fields, known=frozenset(document["known"]))


def _update(change: Recalculated) -> UpdateOne:
    """The new state, for the very revision and catalog that were read; `completedAt` only where there is none."""
    before, after = change.before, change.after
    # Of an enrollment that was never recalculated, or never swept, the number is absent or 0.
    as_read: Document = {
        "_id": before.enrollment_id,
        "revision": before.revision or {"$in": [None, 0]},
        "sweeps": before.sweeps or {"$in": [None, 0]},
    }
    state: Document = {
        "progressPercent": after.progress.percent,
        "completedLessons": after.progress.completed,
        "totalLessons": after.progress.total,
        "progressedAt": after.progressed_at,
        "revision": after.revision,
    }
    if before.progress.completed_at is None and after.progress.completed_at is not None:
        as_read["completedAt"] = None
        state["completedAt"] = after.progress.completed_at
    return UpdateOne(as_read, {"$set": state})
