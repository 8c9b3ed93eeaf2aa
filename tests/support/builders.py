"""Valid things in one call each: records, commands, events, tokens, catalogs; what differs is named."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiokafka.structs import ConsumerRecord

from services.progress.domain import Completion, Enrollment, Lesson
from services.progress.ports import LearnerInCourse
from shared.contracts import envelope as ce
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import progress_id
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.contracts.values import Message
from shared.kafka.records import LOG_APPEND_TIME, Record
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import DAY, NOW, Signer, claims

Header = tuple[str, bytes | None]

#: When the enrollments of a built catalog began, epoch ms.
ENROLLED_AT = NOW - 7 * DAY


def token(user_id: str = "learner-1", *, operator: bool = False) -> bytes:
    """An `authorization` value that `FakeVerifier` believes."""
    return f"Bearer {'operator' if operator else 'learner'}:{user_id}".encode()


def signed_token(signer: Signer, user_id: str = "learner-1", *, operator: bool = False, **changed: object) -> bytes:
    """An `authorization` value under a real signature."""
    roles = {"roles": ["operator"]} if operator else {}
    return signer.bearer(claims(sub=user_id, **roles, **changed)).encode()


def envelope(event_type: str = LessonComplete.TYPE, **named: bytes | str | None) -> list[Header]:
    """The headers of a message of this type; `ce_id="x"` adds one, `reply_to` stands for `reply-to`."""
    headers: dict[str, bytes | None] = {"ce_specversion": b"1.0", "ce_type": event_type.encode()}
    headers |= {"content-type": b"application/json"}
    for name, value in named.items():
        header = name if name.startswith("ce_") else name.replace("_", "-")
        headers[header] = value.encode() if isinstance(value, str) else value
    return list(headers.items())


def record(
    topic: str = PROGRESS_COMMANDS,
    *,
    value: bytes | None = b"{}",
    key: bytes | None = b"learner-1",
    headers: Iterable[Header] = (),
    partition: int = 0,
    offset: int = 0,
    timestamp: int = NOW,
    timestamp_type: int = LOG_APPEND_TIME,
) -> Record:
    """A record as the consumer hands it over."""
    return ConsumerRecord(
        topic,
        partition,
        offset,
        timestamp,
        timestamp_type,
        key,
        value,
        None,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        tuple(headers),
    )


def command(
    lesson_id: str = "lesson-1",
    user_id: str = "learner-1",
    *,
    authorization: bytes | None = None,
    headers: Iterable[Header] = (),
    **changed: Any,
) -> Record:
    """`lesson.complete.v1` from this learner; `headers` are appended, the rest changes the record."""
    own = envelope(authorization=authorization or token(user_id), ce_id=f"{user_id}/{lesson_id}")
    built = {"value": orjson.dumps({"lessonId": lesson_id}), "key": user_id.encode(), "headers": [*own, *headers]}
    return record(**{**built, **changed})


def operator_command(message: Message, topic: str, *, user_id: str = "operator-1", **changed: Any) -> Record:
    """A command that needs the operator role, with a token that gives it."""
    headers = envelope(message.TYPE, authorization=token(user_id, operator=True), ce_id=f"{message.TYPE}/1")
    return record(topic, **{"value": message.to_json(), "key": b"key", "headers": headers, **changed})


def event(
    message: Message, topic: str, *, event_id: str = "event-1", key: str = "enrollment-1", **changed: Any
) -> Record:
    """An event as another service publishes it."""
    headers = ce.write(event_type=message.TYPE, event_id=event_id, source="/services/test", time=NOW, cause=ce.Cause())
    return record(topic, **{"value": message.to_json(), "key": key.encode(), "headers": headers, **changed})


def enrollment_id(user_id: str, course_id: str = "course-1") -> str:
    """The id that a built catalog gives to this enrollment."""
    return f"{user_id}@{course_id}"


def last_header(record: Record, name: str) -> str:
    """The last value of a header, as readers of dead letters take it."""
    value: bytes = next(value for key, value in reversed(record.headers) if key == name)
    return value.decode()


def completion(
    user_id: str = "learner-1", lesson_id: str = "lesson-1", course_id: str = "course-1", *, at: int = NOW
) -> Completion:
    """The fact that this learner finished this lesson."""
    identity = progress_id(user_id, lesson_id)
    return Completion(identity, user_id, lesson_id, course_id, enrollment_id(user_id, course_id), at)


def catalog(
    courses: Mapping[str, Sequence[str]] | None = None,
    *,
    learners: Iterable[str] = ("learner-1",),
    previews: Iterable[str] = ("preview-1",),
    orphans: Iterable[str] = ("orphan-1",),
    enrolled_at: int = ENROLLED_AT,
) -> FakeProgressStore:
    """A store with courses of lessons in course order, every learner in every course, and what does not count.

    `previews` belong to the first course; `orphans` are lessons whose module is gone.
    """
    courses = courses if courses is not None else {"course-1": ["lesson-1", "lesson-2", "lesson-3"]}
    store = FakeProgressStore()
    for course_id, lesson_ids in courses.items():
        store.counted[course_id] = list(lesson_ids)
        store.catalog |= {i: Lesson(i, course_id, is_preview=False) for i in lesson_ids}
        for user_id in learners:
            enrollment = Enrollment(enrollment_id(user_id, course_id), enrolled_at)
            store.enrolled[LearnerInCourse(user_id, course_id)] = enrollment
    store.catalog |= {i: Lesson(i, next(iter(courses)), is_preview=True) for i in previews}
    store.catalog |= {i: Lesson(i, None, is_preview=False) for i in orphans}
    return store
