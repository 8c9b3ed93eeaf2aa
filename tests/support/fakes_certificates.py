"""Certificates' outside in memory: the store, the typesetter, the mail server; the same suite proves the real store."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from services.certificates.domain import (
    Certificate,
    Enrollment,
    Failure,
    Making,
    Notification,
    Particulars,
    PdfFile,
)
from services.certificates.ports import Change, Claim, Uncertified
from shared.errors import Transient
from tests.support.issuer import NOW
from tests.support.steps import Steps


class Platform(Protocol):
    """What others write: learners, courses, and that an enrollment was completed."""

    async def user(self, user_id: str, name: str, *, email: str | None = None) -> None:
        """Store a learner, or change one."""

    async def course(self, course_id: str, title: str, *, instructor: str | None = None) -> None:
        """Store a course, or change one."""

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str, *, completed_at: int | None) -> None:
        """Store an enrollment."""


@dataclass
class FakeCertificateStore:
    """Certificates, files and notifications: each call lies between steps, and so does each document it writes."""

    steps: Steps = field(default_factory=Steps)
    users: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    courses: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    enrolled: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)
    #: By enrollment id.
    stored: dict[str, Certificate] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    notifications: dict[str, Notification] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    #: Notification id to the moment of its e-mail; None: it was given up.
    mailed: dict[str, int | None] = field(default_factory=dict)
    away: bool = False
    #: Called before each call does anything: another replica's chance.
    meanwhile: Callable[[str], None] = lambda _call: None
    #: Names of the methods that were called, in order.
    calls: list[str] = field(default_factory=list)
    #: Certificates of enrollments that have one already: what a missing unique index lets in.
    doubles: list[Certificate] = field(default_factory=list)

    async def user(self, user_id: str, name: str, *, email: str | None = None) -> None:
        self.users[user_id] = (name, email)

    async def course(self, course_id: str, title: str, *, instructor: str | None = None) -> None:
        self.courses[course_id] = (title, instructor)

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str, *, completed_at: int | None) -> None:
        self.enrolled[enrollment_id] = (user_id, course_id, completed_at)

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        await self._begin("completed")
        found = {key: self.enrolled[key] for key in enrollment_ids if key in self.enrolled}
        return {key: Enrollment(key, user, course, at) for key, (user, course, at) in found.items() if at is not None}

    async def particulars(self, enrollments: Collection[Enrollment]) -> Mapping[str, Particulars]:
        await self._begin("particulars")
        named: dict[str, Particulars] = {}
        for enrollment in enrollments:
            name, _ = self.users.get(enrollment.user_id, ("", None))
            title, instructor = self.courses.get(enrollment.course_id, ("", None))
            named[enrollment.enrollment_id] = Particulars((name.strip() and name) or None, title or None, instructor)
        return named

    async def claim(self, certificates: Sequence[Certificate]) -> Mapping[str, Claim]:
        await self._begin("claim")
        claims: dict[str, Claim] = {}
        for certificate in certificates:
            key = certificate.enrollment_id
            new = key not in self.stored
            if new and any(c.certificate_id == certificate.certificate_id for c in self.stored.values()):
                raise Transient("a certificate that exists cannot be read yet")
            claims[key] = Claim(self.stored.setdefault(key, certificate), new)
            await self.steps.reach("after a claim")
        return claims

    async def completed_after(self, enrollment_id: str | None, limit: int) -> Sequence[Enrollment]:
        found = sorted((await self.completed(self.enrolled)).items())
        return [e for key, e in found if enrollment_id is None or key > enrollment_id][:limit]

    async def certificate_count(self) -> int:
        await self._begin("certificate_count")
        return len(self.stored)

    async def filed(self, file_ids: Collection[str]) -> Collection[str]:
        await self._begin("filed")
        return self.files.keys() & set(file_ids)

    async def certificates(self, enrollment_ids: Collection[str]) -> Mapping[str, Certificate]:
        await self._begin("certificates")
        return {key: self.stored[key] for key in enrollment_ids if key in self.stored}

    async def certificate(self, certificate_id: str) -> Certificate | None:
        await self._begin("certificate")
        return next((c for c in self.stored.values() if c.certificate_id == certificate_id), None)

    async def uncertified(self, since: int) -> Uncertified:
        await self._begin("uncertified")
        status = {key: certificate.status for key, certificate in self.stored.items()}
        completed = {key: at for key, (_, _, at) in self.enrolled.items() if at is not None and at >= since}
        waiting = [at for key, at in completed.items() if status.get(key) not in {"issued", "revoked", "failed"}]
        return Uncertified(waiting, sum(status.get(key) == "failed" for key in completed))

    async def begin_again(self, certificate_ids: Collection[str]) -> None:
        await self._begin("begin_again")
        for key, certificate in self.stored.items():
            if certificate.certificate_id in certificate_ids:
                self.stored[key] = replace(certificate, attempts=certificate.attempts + 1)

    async def keep(self, files: Sequence[PdfFile]) -> None:
        await self._begin("keep")
        for file in files:
            self.files.setdefault(file.file_id, file.data)
            await self.steps.reach("after a file")

    async def advance(self, changes: Sequence[Change]) -> Mapping[str, Certificate]:
        await self._begin("advance")
        for before, after in ((change.before, change.after) for change in changes):
            key = before.enrollment_id
            now = self.stored[key]
            if now.status == before.status and before.file_id in {after.file_id, now.file_id}:
                self.stored[key] = replace(after, attempts=now.attempts)
            await self.steps.reach("after a change")
        return {change.after.enrollment_id: self.stored[change.after.enrollment_id] for change in changes}

    async def discard(self, file_ids: Collection[str]) -> None:
        await self._begin("discard")
        for file_id in file_ids:
            self.files.pop(file_id, None)

    async def pdf(self, file_id: str) -> bytes | None:
        await self._begin("pdf")
        return self.files.get(file_id)

    async def tell(
        self, notifications: Sequence[Notification], *, email_due: int | None = None
    ) -> Mapping[str, Notification]:
        await self._begin("tell")
        told: dict[str, Notification] = {}
        for notification in notifications:
            key = notification.notification_id
            if key not in self.notifications and email_due is not None:
                self.due[key] = email_due
            told[key] = self.notifications.setdefault(key, notification)
            await self.steps.reach("after a notification")
        return told

    async def told(self, notification_ids: Collection[str]) -> Mapping[str, Notification]:
        await self._begin("told")
        return {key: self.notifications[key] for key in notification_ids if key in self.notifications}

    async def existing(self, enrollment_ids: Collection[str]) -> Collection[str]:
        await self._begin("existing")
        return {key for key in enrollment_ids if key in self.enrolled}

    async def completed_by(self, user_ids: Collection[str]) -> Mapping[str, Sequence[Enrollment]]:
        await self._begin("completed_by")
        found: defaultdict[str, list[Enrollment]] = defaultdict(list)
        for key, (user_id, course_id, at) in self.enrolled.items():
            if user_id in user_ids:
                theirs = found[user_id]
                theirs += [] if at is None else [Enrollment(key, user_id, course_id, at)]
        return found

    async def every_certificate(self, enrollment_ids: Collection[str]) -> Mapping[str, Sequence[Certificate]]:
        await self._begin("every_certificate")
        found: defaultdict[str, list[Certificate]] = defaultdict(list)
        for certificate in [*self.stored.values(), *self.doubles]:
            if certificate.enrollment_id in enrollment_ids:
                found[certificate.enrollment_id].append(certificate)
        return found

    async def certificates_by_id(self, certificate_ids: Collection[str]) -> Mapping[str, Certificate]:
        await self._begin("certificates_by_id")
        every = [*self.stored.values(), *self.doubles]
        return {c.certificate_id: c for c in every if c.certificate_id in certificate_ids}

    async def certificates_after(self, certificate_id: str | None, limit: int) -> Sequence[Certificate]:
        await self._begin("certificates_after")
        every = sorted([*self.stored.values(), *self.doubles], key=lambda c: c.certificate_id)
        return [c for c in every if certificate_id is None or c.certificate_id > certificate_id][:limit]

    async def told_after(self, notification_id: str | None, limit: int) -> Sequence[Notification]:
        await self._begin("told_after")
        every = sorted(self.notifications.values(), key=lambda n: n.notification_id)
        return [n for n in every if notification_id is None or n.notification_id > notification_id][:limit]

    async def whole_files(self, file_ids: Collection[str]) -> Collection[str]:
        await self._begin("whole_files")
        return {file_id for file_id in file_ids if file_id in self.files}

    async def next_email(self, at: int, until: int) -> tuple[Notification, str | None] | None:
        await self._begin("next_email")
        for key, due in self.due.items():
            if due <= at:
                self.due[key] = until
                notification = self.notifications[key]
                return notification, self.users.get(notification.user_id, ("", None))[1]
        return None

    async def emailed(self, notification_id: str, at: int | None) -> None:
        await self._begin("emailed")
        self.due.pop(notification_id, None)
        self.mailed[notification_id] = at

    async def _begin(self, call: str) -> None:
        self.calls.append(call)
        self.meanwhile(call)
        await self.steps.reach(f"before {call}")
        if self.away:
            raise Transient("the database is away")


@dataclass
class FakeTypesetter:
    """Pages as text, so that a test can read them. Words that no font has fail; some end the worker."""

    steps: Steps = field(default_factory=Steps)
    deadly: str = "deadly"
    away: bool = False
    #: The sizes of the calls, in order.
    calls: list[int] = field(default_factory=list)

    async def typeset(self, makings: Sequence[Making]) -> Sequence[bytes | Failure]:
        self.calls.append(len(makings))
        await self.steps.reach("before typesetting")
        if self.away or any(self.deadly in making.draft.recipient_name for making in makings):
            raise Transient("a worker died")
        pages = [self._page(making) for making in makings]
        await self.steps.reach("after typesetting")
        return pages

    async def recover(self) -> None:
        await self.steps.reach("before recovery")
        if self.away:
            raise Transient("no worker works")

    @staticmethod
    def _page(making: Making) -> bytes | Failure:
        draft = making.draft
        if "\U00013080" in draft.recipient_name:
            return Failure("glyph_missing")
        return f"{draft.recipient_name}|{draft.course_title}|{draft.instructor_name}|{making.completed_at}".encode()


@dataclass
class FakeMailServer:
    """Accepts e-mails, or does not."""

    accepted: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def send(self, notification: Notification, address: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.accepted.append((notification.notification_id, address))


def numbered_ids(prefix: str = "certificate") -> Callable[[], str]:
    """Ids that a test can name, in place of random ones."""
    numbers = count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def academy(*enrollment_ids: str, completed_at: int | None = NOW) -> FakeCertificateStore:
    """A store where Ada completed `course-1` by each of these enrollments (one when none is named)."""
    store = FakeCertificateStore()
    store.users["learner-1"] = ("Ada Lovelace", "ada@example.org")
    store.courses["course-1"] = ("Analytical Engines", "Charles Babbage")
    for enrollment_id in enrollment_ids or ("enrollment-1",):
        store.enrolled[enrollment_id] = ("learner-1", "course-1", completed_at)
    return store
