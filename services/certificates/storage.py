"""The Mongo side of certificates' ports: one certificate an enrollment, its PDF in GridFS, what learners were told."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from gridfs.errors import GridFSError
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateMany

from services.certificates.domain import Certificate, Enrollment, Notification, Particulars, PdfFile
from services.certificates.ports import Change, Claim, Uncertified
from shared.errors import Transient
from shared.mongo.batches import Batches, Document, Sift
from shared.mongo.client import Database, translated
from shared.settings import MongoSettings

_CERTIFICATES = "certificates"
_NOTIFICATIONS = "notifications"
#: The bytes a chunk of a GridFS file holds (GridFS specification); our PDFs have one.
_CHUNK_BYTES = 255 * 1024
#: Enrollments compared with their certificates at once.
_PAGE = 1000
#: Completions that are looked at, at most, however many there were lately: it bounds what a look costs.
_LATEST = 100_000
#: In these the issuer leaves a certificate alone.
_SETTLED = {"status": {"$in": ["issued", "revoked", "failed"]}}

#: Fields of the domain and their names in the documents.
_CERTIFICATE = {
    "certificate_id": "_id",
    "enrollment_id": "enrollmentId",
    "user_id": "userId",
    "course_id": "courseId",
    "recipient_name": "recipientName",
    "course_title": "courseTitle",
    "instructor_name": "instructorName",
    "status": "status",
    "issued_at": "issuedAt",
    "file_id": "fileId",
    "replaced_file_id": "replacedFileId",
    "revoked_at": "revokedAt",
    "revoked_reason": "revokedReason",
    "attempts": "attempts",
}
_WRITTEN_AS_NULL = {"issuedAt", "fileId"}
_NOTIFICATION = {
    "notification_id": "_id",
    "user_id": "userId",
    "kind": "kind",
    "title": "title",
    "body": "body",
    "link": "link",
    "created_at": "createdAt",
}


class MongoStore:
    """`certificates`, their files (GridFS bucket `fs`) and `notifications` are written here alone."""

    def __init__(self, db: Database, settings: MongoSettings, sift: Sift | None = None) -> None:
        self._db = db
        self._batches = Batches(db, settings, sift)
        self._certificates = db[_CERTIFICATES]
        self._notifications = db[_NOTIFICATIONS]

    async def prepare(self) -> None:
        """Make the indexes of the collections this service owns."""
        indexes = {
            _CERTIFICATES: [IndexModel([("enrollmentId", ASCENDING)], unique=True)],
            _NOTIFICATIONS: [
                IndexModel([("userId", ASCENDING), ("createdAt", ASCENDING)]),
                IndexModel([("emailDue", ASCENDING)], sparse=True),
            ],
            "fs.files": [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])],
            "fs.chunks": [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)],
        }
        with translated():
            for collection, models in indexes.items():
                await self._db[collection].create_indexes(models)

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """Those of the enrollments that exist and have `completedAt`, by id."""
        fields = ("userId", "courseId", "completedAt")
        found = await self._batches.find("enrollments", "_id", enrollment_ids, fields)
        return {
            d["_id"]: Enrollment(d["_id"], d["userId"], d["courseId"], int(d["completedAt"]))
            for d in found
            if d.get("completedAt") is not None
        }

    async def particulars(self, enrollments: Collection[Enrollment]) -> Mapping[str, Particulars]:
        """Names and titles as they are now, by enrollment id; a blank one counts as missing."""
        users, courses = await asyncio.gather(
            self._batches.find("users", "_id", {e.user_id for e in enrollments}, ("name",)),
            self._batches.find("courses", "_id", {e.course_id for e in enrollments}, ("title", "instructorName")),
        )
        names = {d["_id"]: _text(d.get("name")) for d in users}
        titles = {d["_id"]: (_text(d.get("title")), _text(d.get("instructorName"))) for d in courses}
        return {
            e.enrollment_id: Particulars(names.get(e.user_id), *titles.get(e.course_id, (None, None)))
            for e in enrollments
        }

    async def claim(self, certificates: Sequence[Certificate]) -> Mapping[str, Claim]:
        """Store each certificate unless its enrollment has one: the unique index decides, the rest is read back."""
        refused = await self._batches.insert(_CERTIFICATES, [_document(c) for c in certificates])
        stored = await self.certificates([d["enrollmentId"] for d in refused])
        if len(stored) != len(refused):
            raise Transient("a certificate that exists cannot be read yet")
        claims = {c.enrollment_id: Claim(c, new=True) for c in certificates}
        return claims | {key: Claim(certificate, new=False) for key, certificate in stored.items()}

    async def certificates(self, enrollment_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by enrollment id."""
        found = await self._batches.find(_CERTIFICATES, "enrollmentId", enrollment_ids)
        return {d["enrollmentId"]: _certificate(d) for d in found}

    async def certificate(self, certificate_id: str) -> Certificate | None:
        """One certificate."""
        with translated():
            document = await self._certificates.find_one({"_id": certificate_id})
        return None if document is None else _certificate(document)

    async def uncertified(self, since: int) -> Uncertified:
        """Of the latest enrollments completed from `since` on, those without an issued or revoked certificate.

        Read in this order, a certificate that is issued meanwhile counts, and nobody is reported too early.
        """
        recent = self._db["enrollments"].find({"completedAt": {"$gte": since}}, {"completedAt": 1}, batch_size=_PAGE)
        latest = recent.sort("completedAt", DESCENDING).limit(_LATEST)
        waiting: list[int] = []
        failed = 0
        fields = ("enrollmentId", "status")
        with translated():
            while page := await latest.to_list(_PAGE):
                ids = [d["_id"] for d in page]
                found = await self._batches.find(_CERTIFICATES, "enrollmentId", ids, fields, where=_SETTLED)
                settled = {d["enrollmentId"] for d in found}
                failed += sum(d["status"] == "failed" for d in found)
                waiting.extend(int(d["completedAt"]) for d in page if d["_id"] not in settled)
        return Uncertified(waiting, failed)

    async def begin_again(self, certificate_ids: Collection[str]) -> None:
        """Count one more attempt of each."""
        if certificate_ids:
            chosen = {"_id": {"$in": list(certificate_ids)}}
            await self._batches.update(_CERTIFICATES, [UpdateMany(chosen, {"$inc": {"attempts": 1}})])

    async def advance(self, changes: Sequence[Change]) -> Mapping[str, Certificate]:
        """Make each change where it still applies; where one was overtaken, all of them are read back."""
        matched = await self._batches.update(_CERTIFICATES, _updates(changes)) if changes else 0
        after = {change.after.enrollment_id: change.after for change in changes}
        return after if matched == len(changes) else await self.certificates(after)

    async def keep(self, files: Sequence[PdfFile]) -> None:
        """Store each file once, as any GridFS client reads it; all of them in two inserts, the chunks first."""
        now = datetime.now(UTC)
        await self._batches.insert("fs.chunks", [chunk for file in files for chunk in _chunks(file)])
        await self._batches.insert("fs.files", [_file(file, now) for file in files])

    async def discard(self, file_ids: Collection[str]) -> None:
        """Remove files; one that is not there is removed already."""
        ids = list(file_ids)
        with translated():
            await self._db["fs.files"].delete_many({"_id": {"$in": ids}})
            await self._db["fs.chunks"].delete_many({"files_id": {"$in": ids}})

    async def pdf(self, file_id: str) -> bytes | None:
        """The bytes of a file; None when it is not there, or being removed."""
        with translated():
            try:
                stream = await AsyncIOMotorGridFSBucket(self._db).open_download_stream(file_id)
                return bytes(await stream.read())
            except GridFSError:
                return None

    async def tell(
        self, notifications: Sequence[Notification], *, email_due: int | None = None
    ) -> Mapping[str, Notification]:
        """Store each notification once; those that are there already are read back."""
        due = {} if email_due is None else {"emailDue": email_due}
        documents = [{name: getattr(n, field) for field, name in _NOTIFICATION.items()} | due for n in notifications]
        refused = await self._batches.insert(_NOTIFICATIONS, documents)
        before = await self.told([document["_id"] for document in refused])
        if len(before) != len(refused):
            raise Transient("a notification that exists cannot be read yet")
        return {n.notification_id: n for n in notifications} | dict(before)

    async def told(self, notification_ids: Collection[str]) -> Mapping[str, Notification]:
        """The notifications that are stored, by id."""
        found = await self._batches.find(_NOTIFICATIONS, "_id", notification_ids)
        return {document["_id"]: _notification(document) for document in found}

    async def existing(self, enrollment_ids: Collection[str]) -> Collection[str]:
        """Those of the enrollments that exist."""
        return {d["_id"] for d in await self._batches.find("enrollments", "_id", enrollment_ids, ("_id",))}

    async def completed_by(self, user_ids: Collection[str]) -> Mapping[str, Sequence[Enrollment]]:
        """What these learners have completed, by user id; who is not enrolled anywhere is not in the answer."""
        found: defaultdict[str, list[Enrollment]] = defaultdict(list)
        fields = ("userId", "courseId", "completedAt")
        for d in await self._batches.find("enrollments", "userId", user_ids, fields):
            theirs = found[d["userId"]]
            if d.get("completedAt") is not None and isinstance(d.get("courseId"), str):
                theirs.append(Enrollment(d["_id"], d["userId"], d["courseId"], int(d["completedAt"])))
        return found

    async def every_certificate(self, enrollment_ids: Collection[str]) -> Mapping[str, Sequence[Certificate]]:
        """All the certificates of each enrollment: one, unless something is wrong."""
        found: defaultdict[str, list[Certificate]] = defaultdict(list)
        for d in await self._batches.find(_CERTIFICATES, "enrollmentId", enrollment_ids):
            found[d["enrollmentId"]].append(_certificate(d))
        return found

    async def certificates_by_id(self, certificate_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by their own ids."""
        return {d["_id"]: _certificate(d) for d in await self._batches.find(_CERTIFICATES, "_id", certificate_ids)}

    async def certificates_after(self, certificate_id: str | None, limit: int) -> Sequence[Certificate]:
        """The next certificates in the order of their ids; fewer than `limit` are the last."""
        return [_certificate(d) for d in await self._batches.page(_CERTIFICATES, certificate_id, limit)]

    async def told_after(self, notification_id: str | None, limit: int) -> Sequence[Notification]:
        """The next notifications in the order of their ids; fewer than `limit` are the last."""
        return [_notification(d) for d in await self._batches.page(_NOTIFICATIONS, notification_id, limit)]

    async def whole_files(self, file_ids: Collection[str]) -> Collection[str]:
        """Those of the files that are there with all their chunks; their bytes stay where they are."""
        files = await self._batches.find("fs.files", "_id", file_ids, ("length", "chunkSize"))
        # Its unique index holds all that is asked of a chunk, so MongoDB reads none of its 255 KiB.
        found = await self._batches.find("fs.chunks", "files_id", file_ids, ("files_id",), with_id=False)
        chunks = Counter(d["files_id"] for d in found)
        return {d["_id"] for d in files if chunks[d["_id"]] == -(-d["length"] // d["chunkSize"])}

    async def next_email(self, at: int, until: int) -> tuple[Notification, str | None] | None:
        """Take one due e-mail by a conditional update, so that replicas share them."""
        with translated():
            while (due := await self._notifications.find_one({"emailDue": {"$lte": at}})) is not None:
                as_read = {"_id": due["_id"], "emailDue": due["emailDue"]}
                if (await self._notifications.update_one(as_read, {"$set": {"emailDue": until}})).matched_count:
                    user = await self._db["users"].find_one({"_id": due["userId"]}, {"email": 1})
                    return _notification(due), _text((user or {}).get("email"))
        return None

    async def emailed(self, notification_id: str, at: int | None) -> None:
        """Note that the e-mail was accepted, or, without a moment, that it never will be."""
        noted = {} if at is None else {"$set": {"emailedAt": at}}
        with translated():
            await self._notifications.update_one({"_id": notification_id}, {**noted, "$unset": {"emailDue": 1}})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _updates(changes: Sequence[Change]) -> list[UpdateMany]:
    """One update for all changes that are alike: a batch is issued by a single one."""
    alike: dict[str, tuple[Document, Document, list[str]]] = {}
    for change in changes:
        as_read, update = _as_read(change), _update(change)
        _, _, ids = alike.setdefault(repr((as_read, update)), (as_read, update, []))
        ids.append(change.before.certificate_id)
    return [UpdateMany({"_id": {"$in": ids}, **as_read}, update) for as_read, update, ids in alike.values()]


def _as_read(change: Change) -> Document:
    """What must still be so: the status, and the file if that changes."""
    as_read: Document = {"status": change.before.status}
    if change.after.file_id != change.before.file_id:
        as_read["fileId"] = change.before.file_id
    return as_read


def _update(change: Change) -> Document:
    before, after = _document(change.before), _document(change.after)
    update = {"$set": {name: value for name, value in after.items() if before.get(name) != value}}
    gone = dict.fromkeys(before.keys() - after.keys(), 1)
    return {**update, "$unset": gone} if gone else update


def _chunks(file: PdfFile) -> Iterator[Document]:
    for n, start in enumerate(range(0, len(file.data), _CHUNK_BYTES)):
        yield {"_id": ObjectId(), "files_id": file.file_id, "n": n, "data": file.data[start : start + _CHUNK_BYTES]}


def _file(file: PdfFile, now: datetime) -> Document:
    return {
        "_id": file.file_id,
        "length": len(file.data),
        "chunkSize": _CHUNK_BYTES,
        "uploadDate": now,
        "filename": f"{file.certificate_id}.pdf",
        "metadata": {"certificateId": file.certificate_id, "contentType": "application/pdf"},
    }


def _document(certificate: Certificate) -> Document:
    document = {name: getattr(certificate, field) for field, name in _CERTIFICATE.items()}
    document["workersEnded"] = certificate.workers_ended or None
    document["failure"] = None if certificate.failure is None else {"code": certificate.failure}
    return {name: value for name, value in document.items() if value is not None or name in _WRITTEN_AS_NULL}


def _certificate(document: Document) -> Certificate:
    fields: dict[str, Any] = {field: document.get(name) for field, name in _CERTIFICATE.items()}
    failure = document.get("failure") or {}
    return Certificate(**fields, failure=failure.get("code"), workers_ended=document.get("workersEnded") or 0)


def _notification(document: Document) -> Notification:
    return Notification(**{field: document[name] for field, name in _NOTIFICATION.items()})
