"""The platform's documents from a directory: one file for each collection, one JSON object in each line."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ops.platform.documents import Course, CourseModule, Document, Enrollment, Lesson, Platform, User
from ops.platform.lines import Located, read_lines
from ops.platform.problems import Problems
from ops.platform.references import Source

D = TypeVar("D", bound=Document)


def read_platform(path: Path) -> Platform:
    """Read `users`, `courses`, `courseModules`, `lessons` and `enrollments` (each `.jsonl`) from the directory `path`.

    Raises:
        ImportRefused: a file cannot be read, a line is no such document, or a reference leads nowhere.
    """
    problems = Problems()
    users = _read(path, User, problems)
    courses = _read(path, Course, problems)
    modules = _read(path, CourseModule, problems)
    lessons = _read(path, Lesson, problems)
    enrollments = _read(path, Enrollment, problems)
    problems.refuse_if_any()
    return Platform(
        users=_values(users),
        courses=_values(courses),
        modules=_values(modules),
        lessons=_values(lessons),
        enrollments=_values(enrollments),
        sources={
            User.COLLECTION: _source(User, users),
            Course.COLLECTION: _source(Course, courses),
            CourseModule.COLLECTION: _source(CourseModule, modules),
            Lesson.COLLECTION: _source(Lesson, lessons),
            Enrollment.COLLECTION: _source(Enrollment, enrollments),
        },
    )


def _file(kind: type[Document]) -> str:
    return f"{kind.COLLECTION}.jsonl"


def _read(path: Path, kind: type[D], problems: Problems) -> list[Located[D]]:
    documents = []
    for line, text in read_lines(path / _file(kind), problems):
        try:
            documents.append(Located(line, kind.from_json(text)))
        except ValidationError as error:
            problems.add_invalid(_file(kind), line, error)
    return documents


def _values(located: list[Located[D]]) -> tuple[D, ...]:
    return tuple(document for _, document in located)


def _source(kind: type[D], located: list[Located[D]]) -> Source:
    return Source(_file(kind), [line for line, _ in located])
