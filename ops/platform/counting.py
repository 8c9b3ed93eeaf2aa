"""What must come out of the Open University dataset, counted from the files and by nothing that serves the product."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ExpectedFigures:
    """Figures after every completion is handled; `certificates`, `partial` and `zero` count enrollments."""

    courses: int
    lessons: int
    enrollments: int
    completions: int
    #: Enrollments at 100 %, one certificate each.
    certificates: int
    #: Enrollments between 0 and 100 %.
    partial: int
    #: Enrollments at 0 %.
    zero: int
    #: How many enrollments are at each percentage.
    percentages: Mapping[float, int]


def expected_figures(path: Path, course: str | None = None) -> ExpectedFigures:
    """Count the files in the directory `path`, or one `course` of them (`AAA-2013J`), which `read_oulad` accepts."""
    lessons: dict[str, str] = {}
    lessons_of: Counter[str] = Counter()
    for row in _rows(path / "assessments.csv"):
        if course in (None, _course(row)):
            lessons[row["id_assessment"]] = _course(row)
            lessons_of[_course(row)] += 1
    enrolled = {(_course(row), row["id_student"]) for row in _rows(path / "studentRegistration.csv")}
    finished: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in _rows(path / "studentAssessment.csv"):
        if row["id_assessment"] in lessons:
            finished[lessons[row["id_assessment"]], row["id_student"]].add(row["id_assessment"])
    courses = {_course(row) for row in _rows(path / "courses.csv")} if course is None else {course}
    counts = {pair: (len(finished[pair]), lessons_of[pair[0]]) for pair in enrolled if pair[0] in courses}
    return _figures(counts, courses=len(courses), lessons=len(lessons))


def _figures(counts: Mapping[tuple[str, str], tuple[int, int]], *, courses: int, lessons: int) -> ExpectedFigures:
    """Sum up (completed, total) of every enrollment."""
    certificates = sum(completed == total > 0 for completed, total in counts.values())
    zero = sum(completed == 0 for completed, _ in counts.values())
    return ExpectedFigures(
        courses=courses,
        lessons=lessons,
        enrollments=len(counts),
        completions=sum(completed for completed, _ in counts.values()),
        certificates=certificates,
        partial=len(counts) - certificates - zero,
        zero=zero,
        percentages=Counter(completed / total * 100 if total else 0.0 for completed, total in counts.values()),
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _course(row: dict[str, str]) -> str:
    return f"{row['code_module']}-{row['code_presentation']}"
