"""The four tables of the Open University Learning Analytics Dataset, checked as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ops.platform.csv_tables import Row, read_table
from ops.platform.lines import Located
from ops.platform.oulad_rows import AssessmentRow, CourseRow, RegistrationRow, SubmissionRow
from ops.platform.problems import ImportProblem, ImportRefused, Problems
from ops.platform.references import Source, dangling, repeated

COURSES: Final = "courses.csv"
ASSESSMENTS: Final = "assessments.csv"
REGISTRATIONS: Final = "studentRegistration.csv"
SUBMISSIONS: Final = "studentAssessment.csv"


@dataclass(frozen=True, slots=True)
class Tables:
    """The four tables, each row with its line."""

    courses: Sequence[Located[CourseRow]]
    assessments: Sequence[Located[AssessmentRow]]
    registrations: Sequence[Located[RegistrationRow]]
    submissions: Sequence[Located[SubmissionRow]]

    def course_ids(self) -> dict[str, str]:
        """The course of each assessment, by the assessment's id."""
        return {row.id_assessment: row.course_id for _, row in self.assessments}

    def only(self, course: str) -> Self:
        """The rows of one course.

        Raises:
            ImportRefused: there is no such course.
        """
        known = [row.course_id for _, row in self.courses]
        if course not in known:
            raise ImportRefused([ImportProblem(COURSES, None, None, f"Has no {course!r}, only {', '.join(known)}")])
        course_ids = self.course_ids()
        return type(self)(
            courses=[row for row in self.courses if row.value.course_id == course],
            assessments=[row for row in self.assessments if row.value.course_id == course],
            registrations=[row for row in self.registrations if row.value.course_id == course],
            submissions=[row for row in self.submissions if course_ids[row.value.id_assessment] == course],
        )


def read_tables(path: Path) -> Tables:
    """Read the four files in the directory `path`.

    Raises:
        ImportRefused: a file or a row is not as it should be, stands twice, or refers to what is not there.
    """
    problems = Problems()
    tables = Tables(
        courses=read_table(path / COURSES, CourseRow, problems),
        assessments=read_table(path / ASSESSMENTS, AssessmentRow, problems),
        registrations=read_table(path / REGISTRATIONS, RegistrationRow, problems),
        submissions=read_table(path / SUBMISSIONS, SubmissionRow, problems),
    )
    problems.refuse_if_any()
    problems.add_all(_repeated(tables))
    problems.add_all(_dangling(tables))
    problems.refuse_if_any()
    problems.add_all(_unregistered(tables))
    problems.refuse_if_any()
    return tables


def source(file: str, rows: Sequence[Located[Row]]) -> Source:
    """Where these rows were read."""
    return Source(file, [line for line, _ in rows])


def _repeated(tables: Tables) -> Iterator[ImportProblem]:
    courses, assessments = source(COURSES, tables.courses), source(ASSESSMENTS, tables.assessments)
    presentations = (row.course_id for _, row in tables.courses)
    yield from repeated(presentations, courses, "code_presentation", "This presentation")
    ids = (row.id_assessment for _, row in tables.assessments)
    yield from repeated(ids, assessments, "id_assessment", "This assessment")
    registered = ((row.course_id, row.id_student) for _, row in tables.registrations)
    yield from repeated(registered, source(REGISTRATIONS, tables.registrations), "id_student", "This registration")
    submitted = ((row.id_assessment, row.id_student) for _, row in tables.submissions)
    yield from repeated(submitted, source(SUBMISSIONS, tables.submissions), "id_student", "This submission")


def _dangling(tables: Tables) -> Iterator[ImportProblem]:
    courses = {row.course_id for _, row in tables.courses}
    for file, rows in ((ASSESSMENTS, tables.assessments), (REGISTRATIONS, tables.registrations)):
        presentations = (row.course_id for _, row in rows)
        yield from dangling(presentations, courses, source(file, rows), "code_presentation", COURSES)
    assessments = (row.id_assessment for _, row in tables.submissions)
    submissions = source(SUBMISSIONS, tables.submissions)
    yield from dangling(assessments, tables.course_ids(), submissions, "id_assessment", ASSESSMENTS)


def _unregistered(tables: Tables) -> Iterator[ImportProblem]:
    course_ids = tables.course_ids()
    registered = {(row.course_id, row.id_student) for _, row in tables.registrations}
    for line, row in tables.submissions:
        course = course_ids[row.id_assessment]
        if (course, row.id_student) not in registered:
            sentence = f"{row.id_student!r} is not registered for {course} in {REGISTRATIONS}"
            yield ImportProblem(SUBMISSIONS, line, "id_student", sentence)
