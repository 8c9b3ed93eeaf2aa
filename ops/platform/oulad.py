"""The Open University Learning Analytics Dataset as courses, learners and completions of ours."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from ops.platform.csv_tables import Row
from ops.platform.datasets import Dataset, PlannedCompletion
from ops.platform.documents import Course, CourseModule, Enrollment, Lesson, Platform, User
from ops.platform.lines import Located
from ops.platform.oulad_rows import AssessmentRow, CourseRow, RegistrationRow
from ops.platform.oulad_tables import ASSESSMENTS, COURSES, REGISTRATIONS, Tables, read_tables, source

#: The kinds of assessment in the order of their modules, and what each is called.
_KINDS: Final = {"TMA": "Tutor-marked assessment", "CMA": "Computer-marked assessment", "Exam": "Exam"}

R = TypeVar("R", bound=Row)


def read_oulad(path: Path, course: str | None = None) -> Dataset:
    """Read the dataset in the directory `path`, or one `course` of it (`AAA-2013J`); completions by day of submission.

    Raises:
        ImportRefused: the files are not as they should be, or there is no such course.
    """
    tables = read_tables(path)
    chosen = tables if course is None else tables.only(course)
    return Dataset(_platform(chosen), _completions(chosen))


def _platform(tables: Tables) -> Platform:
    learners = _first(tables.registrations, lambda row: row.id_student)
    modules = _first(tables.assessments, _module_id)
    return Platform(
        users=tuple(_user(row) for _, row in learners),
        courses=tuple(_course(row) for _, row in tables.courses),
        modules=tuple(_module(row) for _, row in modules),
        lessons=_lessons(row for _, row in tables.assessments),
        enrollments=tuple(_enrollment(row) for _, row in tables.registrations),
        sources={
            User.COLLECTION: source(REGISTRATIONS, learners),
            Course.COLLECTION: source(COURSES, tables.courses),
            CourseModule.COLLECTION: source(ASSESSMENTS, modules),
            Lesson.COLLECTION: source(ASSESSMENTS, tables.assessments),
            Enrollment.COLLECTION: source(REGISTRATIONS, tables.registrations),
        },
    )


def _first(rows: Iterable[Located[R]], key: Callable[[R], Hashable]) -> Sequence[Located[R]]:
    """Choose the first row of each key."""
    chosen: dict[Hashable, Located[R]] = {}
    for row in rows:
        chosen.setdefault(key(row.value), row)
    return list(chosen.values())


def _user(row: RegistrationRow) -> User:
    number = row.id_student
    return User(id=number, name=f"Learner {number}", email=f"learner-{number}@example.org")


def _course(row: CourseRow) -> Course:
    return Course(id=row.course_id, title=f"Course {row.code_module}, {row.day_zero:%B %Y}")


def _module_id(row: AssessmentRow) -> str:
    return f"{row.course_id}:{row.assessment_type}"


def _module(row: AssessmentRow) -> CourseModule:
    return CourseModule(
        id=_module_id(row),
        course_id=row.course_id,
        title=f"{_KINDS[row.assessment_type]}s",
        order=list(_KINDS).index(row.assessment_type) + 1,
    )


def _lessons(rows: Iterable[AssessmentRow]) -> tuple[Lesson, ...]:
    """The lessons in the order of `rows`, each with its place in its module: by date, one without a date last."""
    rows = list(rows)
    places: dict[str, int] = {}
    taken: defaultdict[str, int] = defaultdict(int)
    for row in sorted(rows, key=lambda row: (row.date is None, row.date or 0, int(row.id_assessment))):
        taken[_module_id(row)] += 1
        places[row.id_assessment] = taken[_module_id(row)]
    return tuple(_lesson(row, places[row.id_assessment]) for row in rows)


def _lesson(row: AssessmentRow, place: int) -> Lesson:
    title = f"{_KINDS[row.assessment_type]} {place}"
    return Lesson(id=row.id_assessment, module_id=_module_id(row), title=title, order=place)


def _enrollment(row: RegistrationRow) -> Enrollment:
    enrolled = row.day_zero + timedelta(days=row.date_registration or 0)
    return Enrollment(
        id=f"{row.course_id}:{row.id_student}",
        user_id=row.id_student,
        course_id=row.course_id,
        enrolled_at=int(enrolled.timestamp()) * 1000,
    )


def _completions(tables: Tables) -> tuple[PlannedCompletion, ...]:
    """The submissions by day; those of one day in the order of the file."""
    course_ids = tables.course_ids()
    return tuple(
        PlannedCompletion(row.id_student, row.id_assessment, course_ids[row.id_assessment], row.date_submitted)
        for _, row in sorted(tables.submissions, key=lambda submission: submission.value.date_submitted)
    )
