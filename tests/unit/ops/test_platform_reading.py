"""The platform's own format: five files, a document in each line."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.platform.documents import Platform
from ops.platform.formats import Format, detect, read_dataset
from ops.platform.lines import MOST_BYTES
from ops.platform.problems import ImportProblem, ImportRefused
from ops.platform.reading import read_platform

EXAMPLE = Path(__file__).parents[3] / "examples" / "platform"
FILES = ["users.jsonl", "courses.jsonl", "courseModules.jsonl", "lessons.jsonl", "enrollments.jsonl"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the example, to be broken."""
    return shutil.copytree(EXAMPLE, tmp_path / "platform")


def append(path: Path, text: bytes) -> None:
    path.write_bytes(path.read_bytes() + text)


def problems_of(directory: Path) -> tuple[ImportProblem, ...]:
    with pytest.raises(ImportRefused) as refused:
        read_platform(directory)
    return refused.value.problems


def test_the_example_holds_two_courses_and_three_learners() -> None:
    platform = read_platform(EXAMPLE)

    assert [len(documents) for documents in platform.collections().values()] == [3, 2, 4, 13, 4]
    assert [learner.name for learner in platform.users] == ["Ελένη Παπαδοπούλου", "Дмитрий Соколов", "Maya Lindqvist"]


def test_the_examples_first_course_has_modules_of_three_five_and_two_lessons() -> None:
    platform = read_platform(EXAMPLE)

    tracked = [lesson.module_id for lesson in platform.lessons if not lesson.is_preview]
    sizes = [tracked.count(module.id) for module in platform.modules if module.course_id == "course-astronomy"]
    assert sizes == [3, 5, 2]
    assert [lesson.id for lesson in platform.lessons if lesson.is_preview] == ["bread-basics-0"]


def test_a_directory_without_the_datasets_files_is_read_in_the_platforms_own_format() -> None:
    assert detect(EXAMPLE) is Format.PLATFORM
    dataset = read_dataset(EXAMPLE)
    assert dataset.platform == read_platform(EXAMPLE)
    assert dataset.completions == ()


def test_blank_lines_a_byte_order_mark_and_carriage_returns_do_no_harm(directory: Path) -> None:
    courses = directory / "courses.jsonl"
    courses.write_bytes(b"\xef\xbb\xbf" + courses.read_bytes().replace(b"\n", b"\r\n\r\n  \r\n"))

    assert read_platform(directory) == read_platform(EXAMPLE)


def test_the_last_line_needs_no_line_break(directory: Path) -> None:
    users = directory / "users.jsonl"
    users.write_bytes(users.read_bytes().rstrip())

    assert read_platform(directory) == read_platform(EXAMPLE)


def test_empty_files_are_an_empty_platform(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file).touch()

    assert read_platform(tmp_path) == Platform()


def test_each_missing_file_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == tuple(ImportProblem(file, None, None, "Is missing") for file in FILES)


def test_a_directory_in_the_place_of_a_file_is_named(directory: Path) -> None:
    (directory / "users.jsonl").unlink()
    (directory / "users.jsonl").mkdir()

    assert problems_of(directory) == (ImportProblem("users.jsonl", None, None, "Is not a file"),)


@pytest.mark.parametrize(
    ("line", "field", "sentence"),
    [
        (b'{"_id":"c","title":', None, "Is not JSON"),
        (b"[" * 60_000, None, "Is not JSON"),
        (b'["_id"]', None, "Must be a JSON object"),
        (b"null", None, "Must be a JSON object"),
        (b"{}", "_id", "Is missing"),
        (b'{"_id":"c"}', "title", "Is missing"),
        (b'{"_id":"c","title":"\\ud800"}', None, "Is not JSON"),
        (b'{"_id":"c","title":"\xff"}', None, "Is not UTF-8"),
        (b'{"_id":"c","title":"\x00"}', None, "Is not JSON"),
        (b"\x00", None, "Is not JSON"),
        (b'{"_id":"\\u0000","title":"t"}', "_id", "Must be text of 1 to 255 characters without control characters"),
        (b'{"_id":"c","title":"' + b"t" * MOST_BYTES + b'"}', None, "Is longer than 65536 bytes"),
        (b"c" * 20 * MOST_BYTES, None, "Is longer than 65536 bytes"),
    ],
)
def test_a_broken_line_is_named_with_file_line_and_field(
    directory: Path, line: bytes, field: str | None, sentence: str
) -> None:
    append(directory / "courses.jsonl", b"\n" + line + b'\n{"_id":"last","title":"Fine"}\n')

    problem = problems_of(directory)[0]

    assert problem == ImportProblem("courses.jsonl", 4, field, sentence)


def test_all_broken_lines_of_all_files_are_told_at_once(directory: Path) -> None:
    append(directory / "courses.jsonl", b"{}\n")
    append(directory / "lessons.jsonl", b"broken\n")

    assert [str(problem) for problem in problems_of(directory)] == [
        "courses.jsonl, line 3, _id: Is missing",
        "courses.jsonl, line 3, title: Is missing",
        "lessons.jsonl, line 14: Is not JSON",
    ]


def test_no_more_than_twenty_problems_are_told(directory: Path) -> None:
    append(directory / "courses.jsonl", b"broken\n" * 500)

    assert len(problems_of(directory)) == 20


def test_a_reference_that_leads_nowhere_names_the_line_where_it_stands(directory: Path) -> None:
    append(directory / "lessons.jsonl", b'\n{"_id":"lost","moduleId":"gone","title":"Lost","order":1}\n')

    assert [str(problem) for problem in problems_of(directory)] == [
        "lessons.jsonl, line 15, moduleId: 'gone' is not in courseModules.jsonl"
    ]


@settings(max_examples=150, deadline=None)
@given(file=st.sampled_from(FILES), content=st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_refusal(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = shutil.copytree(EXAMPLE, Path(temporary) / "platform")
        append(directory / file, content)
        with suppress(ImportRefused):
            read_platform(directory)
