"""The platform's documents: what each may hold, and that a platform is consistent or does not exist."""

import pytest
from pydantic import ValidationError

from ops.platform.documents import Course, CourseModule, Document, Enrollment, Lesson, Platform, User
from ops.platform.problems import ImportProblem, ImportRefused
from ops.platform.references import Source


def user(user_id: str = "user-1") -> User:
    return User(id=user_id, name="Ελένη", email="eleni@example.org")


def course(course_id: str = "course-1") -> Course:
    return Course(id=course_id, title="Astronomy")


def module(module_id: str = "module-1", course_id: str = "course-1") -> CourseModule:
    return CourseModule(id=module_id, course_id=course_id, title="Planets", order=1)


def lesson(lesson_id: str = "lesson-1", module_id: str = "module-1") -> Lesson:
    return Lesson(id=lesson_id, module_id=module_id, title="Mars", order=1)


def enrollment(enrollment_id: str = "enrollment-1", user_id: str = "user-1", course_id: str = "course-1") -> Enrollment:
    return Enrollment(id=enrollment_id, user_id=user_id, course_id=course_id, enrolled_at=1_700_000_000_000)


@pytest.mark.parametrize("good", ["a", "5", "Ω" * 255, "\U0001f600", "a b/c:d", " "])
def test_an_id_is_any_text_of_1_to_255_characters(good: str) -> None:
    assert course(good).id == good


@pytest.mark.parametrize("bad", ["", "a" * 256, "a\x00", "a\nb", "\x7f", "\x85", "\ud800"])
def test_an_id_is_not_empty_nor_long_nor_holds_control_characters_or_surrogates(bad: str) -> None:
    with pytest.raises(ValidationError, match="Must be text of 1 to 255 characters without control characters"):
        course(bad)


@pytest.mark.parametrize("bad", ["", "   ", "x" * 1001, "line\nbreak"])
def test_a_name_can_be_seen_and_stands_on_one_line(bad: str) -> None:
    with pytest.raises(ValidationError, match="not only spaces"):
        User(id="user-1", name=bad, email="eleni@example.org")


@pytest.mark.parametrize("bad", ["eleni", "a@b@c", "a b@example.org", "a@example.org\nBcc: b@example.org", "@", ""])
def test_an_e_mail_address_cannot_carry_a_second_header_or_address(bad: str) -> None:
    with pytest.raises(ValidationError, match="Must be an e-mail address"):
        User(id="user-1", name="Ελένη", email=bad)


@pytest.mark.parametrize(
    "line",
    [
        '{"_id":"l","moduleId":"m","title":"t","order":"1"}',
        '{"_id":"l","moduleId":"m","title":"t","order":1.5}',
        '{"_id":"l","moduleId":"m","title":"t","order":true}',
        '{"_id":"l","moduleId":"m","title":"t","order":9223372036854775808}',
        '{"_id":"l","moduleId":"m","title":"t","order":1,"isPreview":"no"}',
        '{"id":"l","moduleId":"m","title":"t","order":1}',
        '{"_id":"l","module_id":"m","title":"t","order":1}',
        '{"_id":5,"moduleId":"m","title":"t","order":1}',
    ],
)
def test_values_are_taken_as_they_are_or_not_at_all(line: str) -> None:
    with pytest.raises(ValidationError):
        Lesson.from_json(line)


def test_a_lesson_is_no_preview_unless_it_says_so() -> None:
    read = Lesson.from_json('{"_id":"l","moduleId":"m","title":"t","order":-3}')

    assert read.stored() == {"_id": "l", "moduleId": "m", "title": "t", "order": -3, "isPreview": False}


def test_fields_that_are_not_the_platforms_are_left_out() -> None:
    read = Enrollment.from_json(
        '{"_id":"e","userId":"u","courseId":"c","enrolledAt":1,"progressPercent":50,"revision":7}'
    )

    assert read.stored() == {"_id": "e", "userId": "u", "courseId": "c", "enrolledAt": 1}


def test_a_consistent_platform_keeps_its_documents() -> None:
    platform = Platform((user(),), (course(),), (module(),), (lesson(),), (enrollment(),))

    assert [kind.COLLECTION for kind in platform.collections()] == [
        "users",
        "courses",
        "courseModules",
        "lessons",
        "enrollments",
    ]
    assert platform.collections()[Lesson] == (lesson(),)


@pytest.mark.parametrize(
    ("kind", "field", "dangling"),
    [
        (CourseModule, "courseId", {"modules": (module(), module("module-2", "gone"))}),
        (Lesson, "moduleId", {"lessons": (lesson(), lesson("lesson-2", "gone"))}),
        (Enrollment, "userId", {"enrollments": (enrollment(), enrollment("enrollment-2", user_id="gone"))}),
        (Enrollment, "courseId", {"enrollments": (enrollment(), enrollment("enrollment-2", course_id="gone"))}),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_with_file_line_and_field(
    kind: type[Document], field: str, dangling: dict[str, tuple[Document, ...]]
) -> None:
    whole = {"users": (user(),), "courses": (course(),), "modules": (module(),)}
    sources = {kind.COLLECTION: Source("given.jsonl", [4, 7])}

    with pytest.raises(ImportRefused) as refused:
        Platform(**(whole | dangling), sources=sources)  # type: ignore[arg-type]  # one of several shapes

    (problem,) = refused.value.problems
    assert (problem.file, problem.line, problem.field) == ("given.jsonl", 7, field)
    assert problem.sentence.startswith("'gone' is not in ")


def test_an_id_given_twice_is_named_with_both_lines() -> None:
    with pytest.raises(ImportRefused) as refused:
        Platform(users=(user(), user("user-2"), user()), sources={"users": Source("users.jsonl", [1, 2, 5])})

    assert refused.value.problems == (ImportProblem("users.jsonl", 5, "_id", "This id is given already, in line 1"),)


def test_a_learner_is_enrolled_in_a_course_once() -> None:
    with pytest.raises(ImportRefused) as refused:
        Platform((user(),), (course(),), enrollments=(enrollment("enrollment-1"), enrollment("enrollment-2")))

    assert [str(problem) for problem in refused.value.problems] == [
        "enrollments, line 2, courseId: This learner's enrollment in this course is given already, in line 1"
    ]


def test_a_module_and_a_lesson_may_have_the_same_id() -> None:
    Platform(courses=(course("same"),), modules=(module("same", "same"),), lessons=(lesson("same", "same"),))


def test_twenty_problems_are_enough() -> None:
    with pytest.raises(ImportRefused) as refused:
        Platform(enrollments=tuple(enrollment(f"enrollment-{n}", f"user-{n}") for n in range(30)))

    assert len(refused.value.problems) == 20
