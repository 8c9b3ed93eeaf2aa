"""Messages on the wire: their fields, spelled out here once more, and how strictly they are read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.certificates.messaging import ACCEPTS as CERTIFICATES
from services.progress.messaging import ACCEPTS as PROGRESS
from services.recalculator.messaging import ACCEPTS as RECALCULATOR
from shared.contracts.certificates import (
    CertificateIssued,
    CertificateRequested,
    CertificateRevoked,
    NotificationCreated,
)
from shared.contracts.gateways import LessonComplete
from shared.contracts.operators import (
    CertificateGenerate,
    CertificateRestore,
    CertificateRevoke,
    CourseChanged,
    ProgressRecalculate,
)
from shared.contracts.progress import LessonCompleted, LessonMarked
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed, ProgressRecalculated
from shared.contracts.rejections import INVALID_COMMAND, NOT_AUTHENTICATED, OPERATOR_REQUIRED, CommandRejected
from shared.contracts.topics import TOPICS
from shared.contracts.values import Message

AT = 1_800_000_000_000
LAST_MOMENT = 253_402_300_799_999

#: Every message: its type, its model, and one example of it with every field there is.
WHOLE: dict[str, tuple[type[Message], dict[str, Any]]] = {
    "lesson.complete.v1": (LessonComplete, {"lessonId": "l"}),
    "lesson.marked.v1": (
        LessonMarked,
        {"progressId": "p", "lessonId": "l", "courseId": "c", "enrollmentId": "e", "completedAt": AT,
         "alreadyCompleted": True},
    ),
    "command.rejected.v1": (CommandRejected, {"code": 404, "reason": "Lesson not found", "lessonId": "l"}),
    "lesson.completed.v1": (
        LessonCompleted,
        {"progressId": "p", "userId": "u", "lessonId": "l", "courseId": "c", "enrollmentId": "e", "completedAt": AT},
    ),
    "progress.recalculate.v1": (ProgressRecalculate, {"enrollmentId": "e"}),
    "progress.recalculated.v1": (
        ProgressRecalculated,
        {"enrollmentId": "e", "progressPercent": 50.0, "completedAt": AT},
    ),
    "course.changed.v1": (CourseChanged, {"courseId": "c"}),
    "enrollment.progressed.v1": (
        EnrollmentProgressed,
        {"enrollmentId": "e", "userId": "u", "courseId": "c", "completed": 5, "total": 10, "progressPercent": 50.0,
         "completedAt": AT, "revision": 3},
    ),
    "course.completed.v1": (
        CourseCompleted,
        {"enrollmentId": "e", "userId": "u", "courseId": "c", "completedAt": AT},
    ),
    "certificate.generate.v1": (CertificateGenerate, {"enrollmentId": "e"}),
    "certificate.revoke.v1": (CertificateRevoke, {"enrollmentId": "e", "reason": "a mistake"}),
    "certificate.restore.v1": (
        CertificateRestore,
        {"certificateId": "x", "enrollmentId": "e", "userId": "u", "courseId": "c", "issuedAt": AT, "revokedAt": AT},
    ),
    "certificate.requested.v1": (CertificateRequested, {"certificateId": "x", "status": "issued"}),
    "certificate.issued.v1": (
        CertificateIssued,
        {"certificateId": "x", "enrollmentId": "e", "userId": "u", "courseId": "c", "issuedAt": AT,
         "verificationUrl": "https://example.org/v1/certificates/x"},
    ),
    "certificate.revoked.v1": (
        CertificateRevoked,
        {"certificateId": "x", "enrollmentId": "e", "userId": "u", "courseId": "c", "revokedAt": AT},
    ),
    "notification.created.v1": (
        NotificationCreated,
        {"notificationId": "n", "userId": "u", "kind": "course_completed", "title": "t", "body": "b",
         "link": "https://example.org/courses/c", "createdAt": AT},
    ),
}  # fmt: skip
#: Fields that may be left out.
OPTIONAL = {
    "command.rejected.v1": {"lessonId"},
    "certificate.revoke.v1": {"reason"},
    "certificate.restore.v1": {"revokedAt"},
}
#: Fields that may be null, and stand there all the same.
NULLABLE = {"progress.recalculated.v1": {"completedAt"}, "enrollment.progressed.v1": {"completedAt"}}

TYPES = pytest.mark.parametrize("message_type", WHOLE)
COMMANDS = {
    "lesson.complete.v1", "progress.recalculate.v1", "course.changed.v1", "certificate.generate.v1",
    "certificate.revoke.v1", "certificate.restore.v1",
}  # fmt: skip


def read(message_type: str, **changed: Any) -> Message:
    model, example = WHOLE[message_type]
    return model.from_json(orjson.dumps({**example, **changed}))


def refused(message_type: str, value: bytes) -> bool:
    try:
        WHOLE[message_type][0].from_json(value)
    except ValidationError:
        return True
    return False


def test_every_type_of_every_topic_has_its_message() -> None:
    assert {t for topic in TOPICS.values() for t in topic.types} == set(WHOLE)


@TYPES
def test_a_message_has_these_fields_under_these_names(message_type: str) -> None:
    model, example = WHOLE[message_type]
    assert message_type == model.TYPE
    assert {field.alias for field in model.model_fields.values()} == set(example)
    assert orjson.loads(read(message_type).to_json()) == example


@TYPES
def test_every_field_but_the_optional_ones_is_required(message_type: str) -> None:
    _, example = WHOLE[message_type]
    without = {name: orjson.dumps({k: v for k, v in example.items() if k != name}) for name in example}
    assert {name for name in example if not refused(message_type, without[name])} == OPTIONAL.get(message_type, set())


@TYPES
def test_null_stands_only_where_it_means_something(message_type: str) -> None:
    _, example = WHOLE[message_type]
    nullable = {name for name in example if not refused(message_type, orjson.dumps({**example, name: None}))}
    assert nullable == OPTIONAL.get(message_type, set()) | NULLABLE.get(message_type, set())


@TYPES
def test_nothing_is_coerced(message_type: str) -> None:
    _, example = WHOLE[message_type]
    for name, value in example.items():
        text_for_number = str(value) if not isinstance(value, str) else 7
        truth_for_number = True if not isinstance(value, bool) else 1
        for wrong in (text_for_number, truth_for_number, [value], {"x": value}):
            assert refused(message_type, orjson.dumps({**example, name: wrong})), (name, wrong)


@TYPES
def test_python_s_names_are_not_the_wire_s(message_type: str) -> None:
    model, example = WHOLE[message_type]
    snake = {name: example[str(field.alias)] for name, field in model.model_fields.items()}
    required = {name for name, field in model.model_fields.items() if field.is_required()} - example.keys()
    assert refused(message_type, orjson.dumps(snake)) == bool(required)


@TYPES
def test_unknown_fields_are_ignored_and_never_written(message_type: str) -> None:
    _, example = WHOLE[message_type]
    message = read(message_type, colour="green", nested={"deep": [1]})
    assert orjson.loads(message.to_json()) == example


@TYPES
def test_anything_but_one_utf8_json_object_is_refused(message_type: str) -> None:
    whole = orjson.dumps(WHOLE[message_type][1])
    for value in (b"", b"null", b"[%s]" % whole, b"1", b'"x"', whole[:-1], whole + b"x", whole + whole,
                  whole[:-1] + b',"a":"\xff"}', b"\xef\xbb\xbf" + whole, whole.decode().encode("utf-16")):  # fmt: skip
        assert refused(message_type, value), value


@TYPES
def test_the_same_message_always_gives_the_same_bytes(message_type: str) -> None:
    assert read(message_type).to_json() == read(message_type).to_json()
    model, example = WHOLE[message_type]
    backwards = model.from_json(orjson.dumps(dict(reversed(example.items()))))
    assert backwards.to_json() == read(message_type).to_json()


def test_an_unknown_lesson_is_left_out_of_a_rejection_and_a_null_of_an_event_is_not() -> None:
    rejected = CommandRejected(code=401, reason="Not authenticated")
    assert rejected.to_json() == b'{"code":401,"reason":"Not authenticated"}'
    open_course = read("enrollment.progressed.v1", completedAt=None)
    assert b'"completedAt":null' in open_course.to_json()


def test_the_answers_that_every_service_gives() -> None:
    assert (NOT_AUTHENTICATED.code, NOT_AUTHENTICATED.reason) == (401, "Not authenticated")
    assert (OPERATOR_REQUIRED.code, OPERATOR_REQUIRED.reason) == (403, "Operator role required")
    assert (INVALID_COMMAND.code, INVALID_COMMAND.reason) == (400, "Invalid command")


IDS = [(t, n) for t, (_, e) in WHOLE.items() for n in e if n.endswith("Id") and t != "command.rejected.v1"]
GOOD = [
    "x", "x" * 255, "é" * 255, "🎓" * 255, "a b", "$where", "a.b", "../..", "a/b", "a\u2028b", " ", "\ufffe", "'\"\\",
]  # fmt: skip
BAD = ["", "x" * 256, "🎓" * 256, "\0", "a\0b", "a\n", "\n", "a\tb", "\x7f", "\x85", "\x9f"]
HALVES = [b"\\ud800", b"\\udfff", b"\\udc00\\ud800", b"a\\ud83d"]


@pytest.mark.parametrize(("message_type", "name"), IDS)
class TestIds:
    def test_one_to_255_characters_of_any_script_are_an_id(self, message_type: str, name: str) -> None:
        for value in GOOD:
            assert orjson.loads(read(message_type, **{name: value}).to_json())[name] == value

    def test_empty_longer_or_with_control_characters_it_is_none(self, message_type: str, name: str) -> None:
        for value in BAD:
            assert refused(message_type, orjson.dumps({**WHOLE[message_type][1], name: value})), ascii(value)

    def test_half_a_character_is_none(self, message_type: str, name: str) -> None:
        whole = orjson.dumps({**WHOLE[message_type][1], name: "HERE"})
        for half in HALVES:
            assert refused(message_type, whole.replace(b"HERE", half)), half


MOMENTS = [(t, n) for t, (_, e) in WHOLE.items() for n in e if n.endswith("At")]


@pytest.mark.parametrize(("message_type", "name"), MOMENTS)
class TestMoments:
    @pytest.mark.parametrize("value", [0, AT, LAST_MOMENT])
    def test_they_are_epoch_milliseconds(self, message_type: str, name: str, value: int) -> None:
        assert orjson.loads(read(message_type, **{name: value}).to_json())[name] == value

    @pytest.mark.parametrize("value", [-1, LAST_MOMENT + 1, 1.5, "2027-01-15T08:00:00Z", str(AT), True])
    def test_and_nothing_else(self, message_type: str, name: str, value: object) -> None:
        assert refused(message_type, orjson.dumps({**WHOLE[message_type][1], name: value}))


class TestNumbers:
    @pytest.mark.parametrize("message_type", ["progress.recalculated.v1", "enrollment.progressed.v1"])
    def test_a_percentage_lies_between_0_and_100_and_may_be_written_without_a_point(self, message_type: str) -> None:
        for percent in (0, 50, 99.75, 100):
            assert orjson.loads(read(message_type, progressPercent=percent).to_json())["progressPercent"] == percent
        for wrong in (-0.1, 100.1, "50"):
            assert refused(message_type, orjson.dumps({**WHOLE[message_type][1], "progressPercent": wrong}))

    @pytest.mark.parametrize("name", ["completed", "total", "revision"])
    def test_counts_are_whole_and_not_negative(self, name: str) -> None:
        for wrong in (-1, 1.5, "1", True):
            assert refused(
                "enrollment.progressed.v1", orjson.dumps({**WHOLE["enrollment.progressed.v1"][1], name: wrong})
            )


class TestWords:
    @pytest.mark.parametrize("status", ["pending", "rendered", "issued", "failed", "revoked"])
    def test_the_states_of_a_certificate(self, status: str) -> None:
        assert orjson.loads(read("certificate.requested.v1", status=status).to_json())["status"] == status

    @pytest.mark.parametrize("kind", ["course_completed", "certificate_ready"])
    def test_the_kinds_of_notification(self, kind: str) -> None:
        assert orjson.loads(read("notification.created.v1", kind=kind).to_json())["kind"] == kind

    @pytest.mark.parametrize(
        ("message_type", "name", "wrong"),
        [("certificate.requested.v1", "status", "lost"), ("notification.created.v1", "kind", "spam")],
    )
    def test_no_others(self, message_type: str, name: str, wrong: str) -> None:
        assert refused(message_type, orjson.dumps({**WHOLE[message_type][1], name: wrong}))

    def test_a_notification_s_body_has_at_most_five_hundred_characters(self) -> None:
        read("notification.created.v1", body="é" * 500)
        assert refused(
            "notification.created.v1", orjson.dumps({**WHOLE["notification.created.v1"][1], "body": "é" * 501})
        )


SERVICES = {"progress": PROGRESS, "recalculator": RECALCULATOR, "certificates": CERTIFICATES}
ACCEPTS = {name: accepts for service in SERVICES.values() for name, accepts in service.items()}


class TestWhoIsHeard:
    def test_each_service_takes_the_types_of_its_topics(self) -> None:
        for service, accepts in (
            ("progress", PROGRESS),
            ("recalculator", RECALCULATOR),
            ("certificates", CERTIFICATES),
        ):
            read_types = {t for topic in TOPICS.values() if service in topic.consumers for t in topic.types}
            assert set(accepts) == read_types
            assert all(WHOLE[name][0] is expected.model for name, expected in accepts.items())

    def test_commands_need_a_token_and_events_of_other_services_do_not(self) -> None:
        assert {name for name, accepts in ACCEPTS.items() if accepts.token} == COMMANDS

    def test_all_commands_but_the_learner_s_need_an_operator(self) -> None:
        operators = {name for name, accepts in ACCEPTS.items() if accepts.operator}
        assert operators == COMMANDS - {"lesson.complete.v1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(message_type=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_whatever_comes_is_read_or_refused_and_what_is_read_can_be_written(message_type: str, data: Any) -> None:
    model, example = WHOLE[message_type]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(example)) | st.text(max_size=4), JSON, max_size=4))
    try:
        message = model.from_json(orjson.dumps({**example, **changed}, option=orjson.OPT_PASSTHROUGH_DATACLASS))
    except (ValidationError, TypeError):
        return
    assert model.from_json(message.to_json()) == message
