"""The Open University's dataset: how its rows are mapped, and what is said about broken ones."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.platform.datasets import PlannedCompletion
from ops.platform.formats import Format, detect, read_dataset
from ops.platform.oulad import read_oulad
from ops.platform.problems import ImportProblem, ImportRefused

EXAMPLE = Path(__file__).parents[3] / "examples" / "oulad"
TINY = {
    "courses.csv": "code_module,code_presentation,module_presentation_length\nAAA,2013J,268\nBBB,2014B,240\n",
    "assessments.csv": (
        "code_module,code_presentation,id_assessment,assessment_type,date,weight\n"
        "AAA,2013J,10,Exam,,100\nAAA,2013J,9,TMA,54,20\nAAA,2013J,11,TMA,19,10\nAAA,2013J,8,TMA,54,0\n"
        "AAA,2013J,12,CMA,200,0\nBBB,2014B,20,TMA,12,1\nAAA,2013J,7,Exam,250,0\n"
    ),
    "studentRegistration.csv": (
        "code_module,code_presentation,id_student,date_registration,date_unregistration\n"
        "AAA,2013J,1,-159,\nBBB,2014B,1,0,12\nAAA,2013J,2,,\n"
    ),
    "studentAssessment.csv": (
        "id_assessment,id_student,date_submitted,is_banked,score\n9,1,54,0,78\n11,2,18,0,\n11,1,18,0,70\n20,1,-1,1,60\n"
    ),
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A directory with the four files, made up for one rule each."""
    for file, text in TINY.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


def refusal(directory: Path) -> list[str]:
    with pytest.raises(ImportRefused) as refused:
        read_oulad(directory)
    return [str(problem) for problem in refused.value.problems]


def append(path: Path, text: bytes) -> None:
    path.write_bytes(path.read_bytes() + text)


def test_submissions_make_the_dataset_known() -> None:
    assert detect(EXAMPLE) is Format.OULAD


def test_any_format_is_read_by_its_files(tiny: Path) -> None:
    assert read_dataset(tiny) == read_oulad(tiny)


def test_a_registration_becomes_a_learner_and_an_enrollment(tiny: Path) -> None:
    platform = read_oulad(tiny).platform

    assert [learner.stored() for learner in platform.users] == [
        {"_id": "1", "name": "Learner 1", "email": "learner-1@example.org"},
        {"_id": "2", "name": "Learner 2", "email": "learner-2@example.org"},
    ]
    assert [(enrollment.id, enrollment.user_id, enrollment.course_id) for enrollment in platform.enrollments] == [
        ("AAA-2013J:1", "1", "AAA-2013J"),
        ("BBB-2014B:1", "1", "BBB-2014B"),
        ("AAA-2013J:2", "2", "AAA-2013J"),
    ]


def test_learners_enroll_on_days_counted_from_the_first_of_october_or_february(tiny: Path) -> None:
    enrolled = [enrollment.enrolled_at for enrollment in read_oulad(tiny).platform.enrollments]

    assert [datetime.fromtimestamp(moment / 1000, UTC) for moment in enrolled] == [
        datetime(2013, 4, 25, tzinfo=UTC),
        datetime(2014, 2, 1, tzinfo=UTC),
        datetime(2013, 10, 1, tzinfo=UTC),
    ]


def test_modules_are_the_kinds_of_assessment_in_their_order(tiny: Path) -> None:
    modules = [module for module in read_oulad(tiny).platform.modules if module.course_id == "AAA-2013J"]

    assert [(module.id, module.title) for module in sorted(modules, key=lambda module: module.order)] == [
        ("AAA-2013J:TMA", "Tutor-marked assessments"),
        ("AAA-2013J:CMA", "Computer-marked assessments"),
        ("AAA-2013J:Exam", "Exams"),
    ]


def test_lessons_stand_by_date_then_number_and_without_a_date_last(tiny: Path) -> None:
    lessons = sorted(read_oulad(tiny).platform.lessons, key=lambda lesson: (lesson.module_id, lesson.order))

    assert [(lesson.id, lesson.order) for lesson in lessons if lesson.module_id == "AAA-2013J:TMA"] == [
        ("11", 1),
        ("8", 2),
        ("9", 3),
    ]
    assert [lesson.id for lesson in lessons if lesson.module_id == "AAA-2013J:Exam"] == ["7", "10"]


def test_completions_of_one_day_come_in_the_order_of_the_file(tiny: Path) -> None:
    assert read_oulad(tiny).completions == (
        PlannedCompletion("1", "20", "BBB-2014B", -1),
        PlannedCompletion("2", "11", "AAA-2013J", 18),
        PlannedCompletion("1", "11", "AAA-2013J", 18),
        PlannedCompletion("1", "9", "AAA-2013J", 54),
    )


def test_quotes_a_byte_order_mark_other_columns_and_their_order_do_no_harm(tiny: Path) -> None:
    before = read_oulad(tiny)
    (tiny / "courses.csv").write_bytes(
        b'\xef\xbb\xbf"extra","code_presentation","code_module"\r\n"a ""b"", c",2013J,"AAA"\r\n,2014B,BBB\r\n'
    )

    assert read_oulad(tiny) == before


def test_a_course_that_is_not_there_is_refused(tiny: Path) -> None:
    with pytest.raises(ImportRefused) as refused:
        read_oulad(tiny, "AAA-2015J")

    assert refused.value.problems == (
        ImportProblem("courses.csv", None, None, "Has no 'AAA-2015J', only AAA-2013J, BBB-2014B"),
    )


@pytest.mark.parametrize(
    ("file", "row", "problem"),
    [
        ("courses.csv", b",2013J,1", "line 4, code_module: Must be 1 to 40 letters and digits"),
        ("courses.csv", b"A\x00,2013J,1", "line 4, code_module: Must be 1 to 40 letters and digits"),
        ("courses.csv", b"CCC,2013X,1", "line 4, code_presentation: Must be a year"),
        ("courses.csv", b"AAA,2013J,1", "line 4, code_presentation: This presentation is given already, in line 2"),
        ("courses.csv", b"CCC,2013J", "line 4: Has 2 cells instead of 3"),
        ("courses.csv", b"\xff\xfe,2013J,1", "line 4: Is not UTF-8"),
        ("courses.csv", b'"CCC,2013J,1', "line 4: Is not a CSV record"),
        ("courses.csv", b'"C"C,2013J,1', "line 4: Is not a CSV record"),
        ("courses.csv", b"C\rC,2013J,1", "line 4: Is not a CSV record"),
        ("courses.csv", b"C" * 1_000_000, "line 4: Is longer than 65536 bytes"),
        ("assessments.csv", b"AAA,2013J,x,TMA,1,1", "line 9, id_assessment: Must be a number"),
        ("assessments.csv", "AAA,2013J,\u0663,TMA,1,1".encode(), "line 9, id_assessment: Must be a number"),
        ("assessments.csv", b"AAA,2013J,30,Quiz,1,1", "line 9, assessment_type: Must be TMA, CMA or Exam"),
        ("assessments.csv", b"AAA,2013J,30,TMA,soon,1", "line 9, date: Must be a whole number of days"),
        ("assessments.csv", b"AAA,2013J,30,TMA,1.5,1", "line 9, date: Must be a whole number of days"),
        ("assessments.csv", b"AAA,2013J,10,TMA,1,1", "line 9, id_assessment: This assessment is given already"),
        ("assessments.csv", b"AAA,2015J,30,TMA,1,1", "line 9, code_presentation: 'AAA-2015J' is not in courses.csv"),
        ("studentRegistration.csv", b"AAA,2013J,,1,", "line 5, id_student: Must be a number"),
        ("studentRegistration.csv", b"AAA,2013J,3,1_0,", "line 5, date_registration: Must be a whole number of days"),
        ("studentRegistration.csv", b"AAA,2013J,3,99999,", "line 5, date_registration: Must be a whole number of days"),
        ("studentRegistration.csv", b"CCC,2013J,3,1,", "line 5, code_presentation: 'CCC-2013J' is not in courses.csv"),
        (
            "studentRegistration.csv",
            b"AAA,2013J,1,3,",
            "line 5, id_student: This registration is given already, in line 2",
        ),
        ("studentAssessment.csv", b"9,2,,0,1", "line 6, date_submitted: Must be a whole number of days"),
        ("studentAssessment.csv", b"99,2,1,0,1", "line 6, id_assessment: '99' is not in assessments.csv"),
        ("studentAssessment.csv", b"9,1,60,0,1", "line 6, id_student: This submission is given already, in line 2"),
        ("studentAssessment.csv", b"20,2,1,0,1", "line 6, id_student: '2' is not registered for BBB-2014B in"),
    ],
)
def test_a_broken_row_is_named_with_file_line_and_field(tiny: Path, file: str, row: bytes, problem: str) -> None:
    append(tiny / file, row + b"\n")

    (told,) = refusal(tiny)

    assert told.startswith(f"{file}, {problem}")


@pytest.mark.parametrize("file", TINY)
def test_a_missing_file_is_named(tiny: Path, file: str) -> None:
    (tiny / file).unlink()

    assert refusal(tiny) == [f"{file}: Is missing"]


@pytest.mark.parametrize(
    ("header", "problems"),
    [
        (b"code_module,length\n", ["code_presentation: Must be the name of exactly one column"]),
        (b"code_module,code_presentation,code_module\n", ["code_module: Must be the name of exactly one column"]),
        (b"", [f"{name}: Must be the name of exactly one column" for name in ("code_module", "code_presentation")]),
    ],
)
def test_a_missing_or_doubled_column_is_named(tiny: Path, header: bytes, problems: list[str]) -> None:
    (tiny / "courses.csv").write_bytes(header)

    assert refusal(tiny) == [f"courses.csv, line 1, {problem}" for problem in problems]


def test_a_header_that_cannot_be_read_is_the_only_problem_of_its_file(tiny: Path) -> None:
    (tiny / "courses.csv").write_bytes(b"\xff" + (tiny / "courses.csv").read_bytes())

    assert refusal(tiny) == ["courses.csv, line 1: Is not UTF-8"]


def test_broken_rows_of_all_files_are_told_at_once(tiny: Path) -> None:
    append(tiny / "courses.csv", b"CCC,2013X,1\n")
    append(tiny / "studentAssessment.csv", b"x,y,z,0,0\n")

    assert [told.partition(":")[0] for told in refusal(tiny)] == [
        "courses.csv, line 4, code_presentation",
        "studentAssessment.csv, line 6, id_assessment",
        "studentAssessment.csv, line 6, id_student",
        "studentAssessment.csv, line 6, date_submitted",
    ]


@settings(max_examples=150, deadline=None)
@given(file=st.sampled_from(sorted(TINY)), content=st.binary(max_size=200), in_front=st.booleans())
def test_no_bytes_do_worse_than_a_refusal(file: str, content: bytes, *, in_front: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for name, text in TINY.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        whole = (Path(temporary) / file).read_bytes()
        (Path(temporary) / file).write_bytes(content + whole if in_front else whole + content)
        with suppress(ImportRefused):
            read_oulad(Path(temporary))
