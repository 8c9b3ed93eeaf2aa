"""The third stage: a completed course becomes one certificate and two notifications."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from pymongo import UpdateOne

from services.certificates.render import CertificatePage, Renderer
from shared.contracts.ids import deterministic_id, notification_id
from shared.contracts.topics import CERTIFICATE_ISSUED, COURSE_COMPLETED, NOTIFICATION_CREATED
from tests.bench.baseline.database import Database, Document
from tests.bench.baseline.envelope import Envelope, Origin
from tests.bench.baseline.files import keep
from tests.bench.baseline.process import Record
from tests.bench.baseline.publishing import Message
from tests.bench.baseline.settings import Settings

_ISSUED = Envelope("certificates", "certificate.issued.v1")
_NOTIFIED = Envelope("certificates", "notification.created.v1")


class Certificates:
    """`course.completed` to `certificates`, their files, `notifications`, and the events of both."""

    name = "certificates"
    topic = COURSE_COMPLETED

    def __init__(self, database: Database, settings: Settings) -> None:
        self._db = database
        self._public_url = settings.public_url
        self._renderer = Renderer(workers=settings.render_workers) if settings.rendering else None

    async def start(self) -> None:
        """Make the indexes, and warm the typesetters up."""
        await self._db.unique("certificates", "enrollmentId")
        await self._db.index("notifications", "userId", "createdAt")
        await self._db.unique("fs.chunks", "files_id", "n")
        if self._renderer is not None:
            await self._renderer.start()

    async def stop(self) -> None:
        """End the typesetters."""
        if self._renderer is not None:
            await self._renderer.close()

    async def handle(self, records: Sequence[Record]) -> tuple[list[Message], list[Message]]:
        """Certify the enrollments of a batch, each once."""
        now = time.time_ns() // 1_000_000
        origins = {orjson.loads(r.value or b"")["enrollmentId"]: r for r in records}
        certificates, courses = await self._claim(origins)
        await self._issue([c for c in certificates if c["status"] == "pending"], courses, now)
        notifications = [n for c in certificates for n in self._notifications(c, now)]
        repeated = await self._db.insert("notifications", notifications)
        if repeated:
            stored = await self._db.find("notifications", "_id", [n["_id"] for n in repeated], ())
            newest = {d["_id"]: d for d in stored}
            notifications = [newest.get(n["_id"], n) for n in notifications]
        events: list[Message] = []
        for certificate, (told, ready) in zip(certificates, _pairs(notifications), strict=True):
            origin = Origin(origins[certificate["enrollmentId"]])
            key = certificate["userId"].encode()
            events.append(_notified(told, key, origin))
            events.append(self._issued(certificate, origin))
            events.append(_notified(ready, key, origin))
        return events, []

    async def _claim(self, enrollment_ids: dict[str, Record]) -> tuple[list[Document], dict[str, Document]]:
        """The certificate of each enrollment, the one that is there or a new one; and the courses' names."""
        found = await self._db.find("enrollments", "_id", enrollment_ids, ("userId", "courseId", "completedAt"))
        enrollments = [e for e in found if e.get("completedAt") is not None]
        users = await self._db.find("users", "_id", {e["userId"] for e in enrollments}, ("name",))
        names = {d["_id"]: d["name"] for d in users}
        titles = await self._db.find(
            "courses", "_id", {e["courseId"] for e in enrollments}, ("title", "instructorName")
        )
        courses = {d["_id"]: d for d in titles}
        certificates = {e["_id"]: _pending(e, names[e["userId"]], courses[e["courseId"]]) for e in enrollments}
        taken = await self._db.insert("certificates", list(certificates.values()))
        if taken:
            for stored in await self._db.find("certificates", "enrollmentId", [c["enrollmentId"] for c in taken], ()):
                certificates[stored["enrollmentId"]] = stored
        return list(certificates.values()), courses

    async def _issue(self, certificates: list[Document], courses: dict[str, Document], now: int) -> None:
        """Typeset the pages, store them, and mark the certificates as issued."""
        if not certificates:
            return
        files: list[str | None] = [None] * len(certificates)
        if self._renderer is not None:
            pages = [self._page(c, courses[c["courseId"]], now) for c in certificates]
            data = [page for page in await self._renderer.render_many(pages) if isinstance(page, bytes)]
            files = [*await keep(self._db, [c["_id"] for c in certificates], data)]
        for certificate, file_id in zip(certificates, files, strict=True):
            certificate.update(status="issued", issuedAt=now, fileId=file_id)
        await self._db.update(
            "certificates",
            [
                UpdateOne(
                    {"_id": c["_id"], "status": "pending"},
                    {"$set": {name: c[name] for name in ("status", "issuedAt", "fileId")}},
                )
                for c in certificates
            ],
        )

    def _page(self, certificate: Document, course: Document, now: int) -> CertificatePage:
        return CertificatePage(
            certificate_id=certificate["_id"],
            recipient_name=certificate["recipientName"],
            course_title=certificate["courseTitle"],
            instructor_name=course.get("instructorName"),
            issued_on=datetime.fromtimestamp(now // 1000, UTC).date(),
            verification_url=self._verification(certificate),
        )

    def _verification(self, certificate: Document) -> str:
        return f"{self._public_url}/v1/certificates/{certificate['_id']}"

    def _notifications(self, certificate: Document, now: int) -> tuple[Document, Document]:
        course, title = certificate["courseId"], certificate["courseTitle"]
        body = f"Congratulations! You've completed {title}"
        told = ("course_completed", "Course completed", body, f"{self._public_url}/courses/{course}", now)
        link = f"{self._verification(certificate)}/pdf"
        ready = (
            "certificate_ready",
            "Certificate ready",
            "Your certificate is ready to download",
            link,
            certificate["issuedAt"],
        )
        return _notification(certificate, *told), _notification(certificate, *ready)

    def _issued(self, certificate: Document, origin: Origin) -> Message:
        value = {
            "certificateId": certificate["_id"],
            "enrollmentId": certificate["enrollmentId"],
            "userId": certificate["userId"],
            "courseId": certificate["courseId"],
            "issuedAt": certificate["issuedAt"],
            "verificationUrl": self._verification(certificate),
        }
        headers = _ISSUED.headers(deterministic_id(_ISSUED.type, certificate["_id"]), certificate["issuedAt"], origin)
        return Message(CERTIFICATE_ISSUED, certificate["enrollmentId"].encode(), orjson.dumps(value), headers)


def _pending(enrollment: Document, name: str, course: Document) -> Document:
    return {
        "_id": secrets.token_urlsafe(24),
        "enrollmentId": enrollment["_id"],
        "userId": enrollment["userId"],
        "courseId": enrollment["courseId"],
        "recipientName": name,
        "courseTitle": course["title"],
        "instructorName": course.get("instructorName"),
        "status": "pending",
        "attempts": 1,
    }


def _notification(certificate: Document, kind: str, title: str, body: str, link: str, at: int) -> Document:
    return {
        "_id": notification_id(kind, certificate["enrollmentId"]),
        "userId": certificate["userId"],
        "kind": kind,
        "title": title,
        "body": body,
        "link": link,
        "createdAt": at,
    }


def _pairs(notifications: list[Document]) -> list[tuple[Document, Document]]:
    return list(zip(notifications[::2], notifications[1::2], strict=True))


def _notified(notification: Document, key: bytes, origin: Origin) -> Message:
    value = {"notificationId": notification["_id"], **{n: v for n, v in notification.items() if n != "_id"}}
    headers = _NOTIFIED.headers(
        deterministic_id(_NOTIFIED.type, notification["_id"]), notification["createdAt"], origin
    )
    return Message(NOTIFICATION_CREATED, key, orjson.dumps(value), headers)
