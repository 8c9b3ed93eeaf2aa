"""An import into a real database: what is written, what is left alone, and what is refused."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from rich.console import Console

from ops.importing import import_platform
from ops.platform.counting import expected_figures
from ops.platform.documents import Course, CourseModule, Enrollment, Lesson, Platform, User
from ops.platform.oulad import read_oulad
from ops.platform.planning import Counts, ImportReport, plan_import
from ops.platform.problems import ImportInterrupted, ImportRefused
from ops.platform.reading import read_platform
from ops.platform.writing import write_plan, write_platform
from ops.stacks import StackKind
from ops.stacks.home import open_home
from ops.stacks.ports import Ports
from ops.stacks.programs import Program, Programs
from ops.stacks.secantus import python_server, rust_server

EXAMPLES = Path(__file__).parents[3] / "examples"
COLLECTIONS = ["users", "courses", "courseModules", "lessons", "enrollments"]

Client: TypeAlias = AsyncIOMotorClient[dict[str, Any]]
Database: TypeAlias = AsyncIOMotorDatabase[dict[str, Any]]


@pytest.fixture(scope="module")
async def server(stack_kind: StackKind, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """The database server of this run's stack, alone; it lives as long as the tests."""
    async with open_home(tmp_path_factory.mktemp("stack")) as home:
        make = rust_server if stack_kind is StackKind.KAFKA else python_server
        program = make(home, port=Ports({}).of("database"))
        programs = Programs(home.path, home.logs, home.warden, lambda _: None)
        try:
            await programs.start(program)
            yield program
        finally:
            await programs.stop_all(programs.running, timeout=0)


@pytest.fixture(autouse=True)
def served_by(server: Program, record_property: Callable[[str, object], None]) -> None:
    record_property("stack", server.title)


@pytest.fixture(scope="module")
async def client(server: Program) -> AsyncIterator[Client]:
    """A client of the server."""
    connected: Client = AsyncIOMotorClient(f"mongodb://{server.address}/?directConnection=true")
    yield connected
    connected.close()


@pytest.fixture
async def database(client: Client) -> Database:
    """An empty database with the index that keeps enrollments single; it goes with its server."""
    fresh = client.get_database(f"import_{uuid4().hex}")
    await fresh["enrollments"].create_index([("userId", 1), ("courseId", 1)], unique=True)
    return fresh


@pytest.fixture(scope="module")
def example() -> Platform:
    """Two courses and three learners."""
    return read_platform(EXAMPLES / "platform")


async def everything(database: Database) -> dict[str, dict[str, Mapping[str, Any]]]:
    """All documents by collection and id."""
    return {
        name: {document["_id"]: document for document in await database[name].find().to_list(None)}
        for name in COLLECTIONS
    }


def counts(report: ImportReport) -> list[Counts]:
    return [report.collections[name] for name in COLLECTIONS]


async def test_an_import_stores_the_documents_as_they_are_given(database: Database, example: Platform) -> None:
    report = await write_platform(database, example)

    assert counts(report) == [Counts(3, 0, 0), Counts(2, 0, 0), Counts(4, 0, 0), Counts(13, 0, 0), Counts(4, 0, 0)]
    stored = await everything(database)
    assert stored["users"]["learner-eleni"] == {
        "_id": "learner-eleni",
        "name": "Ελένη Παπαδοπούλου",
        "email": "eleni@example.org",
        "locale": "el",
    }
    assert stored["enrollments"]["enrollment-3"] == {
        "_id": "enrollment-3",
        "userId": "learner-dmitri",
        "courseId": "course-bread",
        "enrolledAt": 1_728_032_400_000,
    }
    assert stored["lessons"]["bread-basics-0"]["isPreview"] is True


async def test_the_same_import_again_changes_nothing(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    before = await everything(database)

    report = await write_platform(database, example)

    assert report.changes_nothing
    assert counts(report) == [Counts(0, 0, 3), Counts(0, 0, 2), Counts(0, 0, 4), Counts(0, 0, 13), Counts(0, 0, 4)]
    assert report.changed_courses == frozenset()
    assert await everything(database) == before


async def test_a_dry_run_tells_what_would_change_and_writes_nothing(database: Database, example: Platform) -> None:
    plan = await plan_import(database, example)

    assert plan.report.collections["lessons"] == Counts(13, 0, 0)
    assert not any((await everything(database)).values())


async def test_progress_of_enrollments_is_never_touched(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    progress = {"progressPercent": 50.0, "completedLessons": 5, "totalLessons": 10, "revision": 7, "completedAt": None}
    await database["enrollments"].update_one({"_id": "enrollment-1"}, {"$set": {**progress, "enrolledAt": 1}})

    report = await write_platform(database, example)

    assert report.collections["enrollments"] == Counts(0, 1, 3)
    stored = (await everything(database))["enrollments"]["enrollment-1"]
    assert {name: stored[name] for name in progress} == progress
    assert stored["enrolledAt"] == 1_727_773_200_000


async def test_only_what_differs_is_updated(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    renamed = User(id="learner-eleni", name="Ελένη Νέα", email="eleni@example.org")

    report = await write_platform(database, replace(example, users=(renamed, *example.users[1:])))

    assert report.collections["users"] == Counts(0, 1, 2)
    stored = (await everything(database))["users"]
    assert stored["learner-eleni"] == {"_id": "learner-eleni", "name": "Ελένη Νέα", "email": "eleni@example.org"}


async def test_what_the_platform_does_not_name_stays(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    before = await everything(database)

    await write_platform(database, Platform(users=example.users[:1]))

    assert await everything(database) == before


async def test_few_documents_are_found_among_many(database: Database, example: Platform) -> None:
    await database["users"].insert_many([{"_id": f"other-{n}", "name": "Other"} for n in range(500)])
    await write_platform(database, example)

    report = await write_platform(database, example)

    assert report.changes_nothing


async def test_progress_is_told_after_each_command(database: Database, example: Platform) -> None:
    heard: list[tuple[str, int, int]] = []

    await write_platform(database, example, lambda *step: heard.append(step))

    assert heard == [
        ("users", 3, 3),
        ("courses", 2, 2),
        ("courseModules", 4, 4),
        ("lessons", 13, 13),
        ("enrollments", 4, 4),
    ]


async def test_the_commands_show_how_far_an_import_is(database: Database, example: Platform) -> None:
    class Where:
        @asynccontextmanager
        async def database(self) -> AsyncIterator[Database]:
            yield database

    screen = Console(file=StringIO(), force_terminal=True, width=100)
    target: Any = Where()

    report = await import_platform(target, example, screen)

    assert not report.changes_nothing
    assert isinstance(screen.file, StringIO)
    assert all(name in screen.file.getvalue() for name in COLLECTIONS)


def with_lessons(platform: Platform, *lessons: Lesson) -> Platform:
    """The platform with these lessons in the place of those with the same ids."""
    named = {lesson.id: lesson for lesson in (*platform.lessons, *lessons)}
    return replace(platform, lessons=tuple(named.values()), sources={})


@pytest.mark.parametrize(
    ("lesson", "changed"),
    [
        (Lesson(id="new", module_id="bread-basics", title="Crust", order=3), {"course-bread"}),
        (Lesson(id="new", module_id="bread-basics", title="Trailer", order=3, is_preview=True), set()),
        (Lesson(id="bread-basics-0", module_id="bread-basics", title="Welcome", order=0), {"course-bread"}),
        (
            Lesson(id="bread-basics-1", module_id="bread-basics", title="Dough", order=1, is_preview=True),
            {"course-bread"},
        ),
        (Lesson(id="bread-basics-1", module_id="bread-basics", title="Renamed", order=9), set()),
        (
            Lesson(id="bread-basics-1", module_id="astronomy-sky", title="Dough", order=1),
            {"course-bread", "course-astronomy"},
        ),
        (Lesson(id="astronomy-sky-1", module_id="astronomy-stars", title="North", order=1), set()),
    ],
)
async def test_a_course_is_changed_when_other_lessons_count_in_it(
    database: Database, example: Platform, lesson: Lesson, changed: set[str]
) -> None:
    await write_platform(database, example)

    report = await write_platform(database, with_lessons(example, lesson))

    assert report.changed_courses == changed


async def test_a_module_that_moves_takes_its_lessons_along(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    moved = CourseModule(id="astronomy-sky", course_id="course-bread", title="The Night Sky", order=2)

    report = await write_platform(database, Platform(courses=example.courses, modules=(moved,)))

    assert report.changed_courses == {"course-astronomy", "course-bread"}


async def test_a_lesson_may_come_from_a_module_that_the_import_does_not_name(
    database: Database, example: Platform
) -> None:
    await write_platform(database, example)
    bread = tuple(module for module in example.modules if module.course_id == "course-bread")
    moved = Lesson(id="astronomy-sky-1", module_id="bread-basics", title="Finding North", order=9)

    report = await write_platform(database, Platform(courses=example.courses, modules=bread, lessons=(moved,)))

    assert report.changed_courses == {"course-astronomy", "course-bread"}


async def test_a_new_course_needs_no_recalculation(database: Database, example: Platform) -> None:
    report = await write_platform(database, example)

    assert report.changed_courses == frozenset()


async def test_an_empty_module_changes_no_course(database: Database, example: Platform) -> None:
    await write_platform(database, example)
    empty = CourseModule(id="bread-more", course_id="course-bread", title="More", order=2)

    report = await write_platform(database, replace(example, modules=(*example.modules, empty), sources={}))

    assert report.changed_courses == frozenset()


def enrolled(enrollment_id: str, user_id: str, course_id: str) -> Platform:
    """One learner, enrolled in one course."""
    return Platform(
        users=(User(id=user_id, name="Learner", email="learner@example.org"),),
        courses=(Course(id=course_id, title="Renamed"),),
        enrollments=(Enrollment(id=enrollment_id, user_id=user_id, course_id=course_id, enrolled_at=1),),
    )


@pytest.mark.parametrize(
    ("enrollment", "problem"),
    [
        (
            ("another", "learner-maya", "course-bread"),
            "enrollments, line 1, _id: This learner's enrollment in this course is stored already, as 'enrollment-4'",
        ),
        (
            ("enrollment-4", "somebody", "course-bread"),
            "enrollments, line 1, userId: This enrollment is stored with 'learner-maya'",
        ),
        (
            ("enrollment-4", "learner-maya", "elsewhere"),
            "enrollments, line 1, courseId: This enrollment is stored with 'course-bread'",
        ),
    ],
)
async def test_an_enrollment_that_contradicts_a_stored_one_is_refused_before_anything_is_written(
    database: Database, example: Platform, enrollment: tuple[str, str, str], problem: str
) -> None:
    await write_platform(database, example)
    before = await everything(database)

    with pytest.raises(ImportRefused) as refused:
        await write_platform(database, enrolled(*enrollment))

    assert str(refused.value) == problem
    assert await everything(database) == before


async def test_two_imports_at_once_end_as_one(database: Database, example: Platform) -> None:
    plan = await plan_import(database, example)
    await write_platform(database, example)
    stored = await everything(database)

    with pytest.raises(ImportInterrupted, match=r"The database failed at users \(BulkWriteError 65\)"):
        await write_plan(database, plan)

    assert await everything(database) == stored
    assert (await write_platform(database, example)).changes_nothing


async def test_an_import_that_was_interrupted_is_finished_by_the_next(database: Database, example: Platform) -> None:
    plan = await plan_import(database, example)
    await write_plan(database, replace(plan, collections=plan.collections[:3]))

    report = await write_platform(database, example)

    assert counts(report) == [Counts(0, 0, 3), Counts(0, 0, 2), Counts(0, 0, 4), Counts(13, 0, 0), Counts(4, 0, 0)]


async def test_a_database_that_does_not_answer_is_told_in_a_sentence(example: Platform) -> None:
    nowhere: Client = AsyncIOMotorClient("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")

    with pytest.raises(ImportInterrupted, match=r"The database failed at users \(ServerSelectionTimeoutError\)"):
        await write_platform(nowhere.get_database("absent"), example)

    nowhere.close()


async def test_the_whole_example_of_real_learners_is_imported_once(database: Database) -> None:
    figures, platform = expected_figures(EXAMPLES / "oulad"), read_oulad(EXAMPLES / "oulad").platform

    first = await write_platform(database, platform)
    second = await write_platform(database, platform)

    assert first.collections["courses"].inserted == figures.courses
    assert first.collections["lessons"].inserted == figures.lessons
    assert first.collections["enrollments"].inserted == figures.enrollments
    assert second.changes_nothing
    assert await database["enrollments"].count_documents({}) == figures.enrollments
