"""Progress alone, as gateways and the recalculator see it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from shared.contracts.envelope import rfc3339
from shared.contracts.ids import deterministic_id, progress_id
from tests.support.alone import Alone, Neighbourhood, same
from tests.support.campus import Learner
from tests.support.conformity import conforming, example

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

COMMANDS = "progress.commands"
COMPLETE = "lesson.complete.v1"


@pytest.fixture(scope="module")
async def progress(around: Neighbourhood) -> AsyncIterator[Alone]:
    async with around.alone("progress") as alone:
        yield alone


@pytest.fixture
async def learner(progress: Alone) -> Learner:
    """A learner of a course with two lessons, who has completed none."""
    return await progress.campus.learner(await progress.campus.course(2, preview=1))


async def test_a_completed_lesson_is_a_record_an_event_and_a_reply(progress: Alone, learner: Learner) -> None:
    lesson = learner.course.lessons[0]

    reply = await progress.gateway.complete(learner.user_id, lesson)

    record_id = progress_id(learner.user_id, lesson)
    [record] = await progress.documents("lessonProgress", userId=learner.user_id)
    fact = {
        "lessonId": lesson,
        "courseId": learner.course.id,
        "enrollmentId": learner.enrollment_id,
        "completedAt": record["completedAt"],
    }
    assert record == {"_id": record_id, "userId": learner.user_id, **fact}
    assert reply.data == {"progressId": record_id, **fact, "alreadyCompleted": False}
    assert reply.key == learner.user_id.encode()
    [event] = await progress.gateway.wait_for("lesson.completed", lambda s: s.key == learner.enrollment_id.encode())
    assert event.data == {"progressId": record_id, "userId": learner.user_id, **fact}
    assert event.headers["ce_id"] == deterministic_id("lesson.completed.v1", record_id).encode()
    assert event.headers["ce_time"] == rfc3339(record["completedAt"]).encode()
    assert event.headers["ce_causationid"] == reply.headers["ce_causationid"] == reply.headers["correlation-id"]


async def test_the_same_command_again_is_the_same_event_byte_for_byte(progress: Alone, learner: Learner) -> None:
    lesson = learner.course.lessons[0]

    first = await progress.gateway.complete(learner.user_id, lesson)
    again = await progress.gateway.complete(learner.user_id, lesson)

    assert again.data == {**first.data, "alreadyCompleted": True}
    assert len(await progress.documents("lessonProgress", userId=learner.user_id)) == 1
    of_learner = await progress.gateway.wait_for(
        "lesson.completed", lambda s: s.key == learner.enrollment_id.encode(), count=2
    )
    assert same(*of_learner)


async def orphan(progress: Alone) -> str:
    """A lesson whose module is gone."""
    course = await progress.campus.course(1)
    await progress.around.db["courseModules"].delete_one({"_id": course.modules[0]})
    return course.lessons[0]


async def elsewhere(progress: Alone) -> str:
    """A lesson of a course that the learner is not enrolled in."""
    return (await progress.campus.course(1)).lessons[0]


async def refused(progress: Alone, learner: Learner, data: Any, token: str | None) -> Mapping[str, Any]:
    """What a rejection says; nothing was written."""
    correlation = await progress.gateway.command(COMPLETE, data, token=token, key=learner.user_id)
    reply = await progress.gateway.reply(correlation)
    assert reply.type == "command.rejected.v1"
    assert reply.key == learner.user_id.encode()
    assert await progress.documents("lessonProgress", userId=learner.user_id) == []
    return dict(reply.data)


def as_in_the_example(name: str, **data: str) -> Mapping[str, Any]:
    """What the committed example of a rejection says, about this lesson."""
    value = example(f"command.rejected.v1.{name}")["value"]
    assert value.keys() - {"lessonId"} == {"code", "reason"}
    return {**value, **data}


@pytest.mark.parametrize("token", [None, "not.a.token"])
async def test_without_a_good_token_it_is_401(progress: Alone, learner: Learner, token: str | None) -> None:
    command = conforming(COMPLETE, {"lessonId": learner.course.lessons[0]})
    said = await refused(progress, learner, command, token)
    assert said == as_in_the_example("401-not-authenticated", lessonId=learner.course.lessons[0])


@pytest.mark.parametrize(
    ("name", "lesson_of"),
    [
        ("404-module-not-found", orphan),
        ("403-not-enrolled-in-this-course", elsewhere),
    ],
)
async def test_a_lesson_that_cannot_be_completed_is_refused(
    progress: Alone, learner: Learner, name: str, lesson_of: Any
) -> None:
    lesson = await lesson_of(progress)
    said = await refused(progress, learner, {"lessonId": lesson}, progress.gateway.token(learner.user_id))
    assert said == as_in_the_example(name, lessonId=lesson)


async def test_an_unknown_lesson_is_404_and_a_preview_is_422(progress: Alone, learner: Learner) -> None:
    token, preview = progress.gateway.token(learner.user_id), f"{learner.course.id}-p0"

    unknown = await refused(progress, learner, {"lessonId": "nowhere"}, token)
    untracked = await refused(progress, learner, {"lessonId": preview}, token)

    assert unknown == as_in_the_example("404-lesson-not-found", lessonId="nowhere")
    assert untracked == as_in_the_example("422-preview-lessons-are-not-tracked", lessonId=preview)


async def test_a_value_that_is_not_of_its_type_is_400_and_a_dead_letter(progress: Alone, learner: Learner) -> None:
    said = await refused(progress, learner, b'{"lessonId": 7}', progress.gateway.token(learner.user_id))

    assert said == {"code": 400, "reason": "Invalid command"}
    letter = await progress.gateway.dead_letter("progress", lambda s: s.key == learner.user_id.encode())
    assert letter.raw == b'{"lessonId": 7}'
    assert letter.headers["x-dead-letter-topic"] == COMMANDS.encode()


async def test_what_nobody_can_read_is_a_dead_letter_and_its_neighbours_are_handled(
    progress: Alone, learner: Learner
) -> None:
    await progress.poisoned(COMMANDS, COMPLETE)

    reply = await progress.gateway.complete(learner.user_id, learner.course.lessons[0], partition=0)
    assert reply.type == "lesson.marked.v1"


async def test_a_learner_reads_what_was_marked(progress: Alone, learner: Learner) -> None:
    first, second = learner.course.lessons
    await progress.gateway.complete(learner.user_id, first)

    state = await progress.gateway.progress(learner.user_id, learner.course.id)

    assert state == {
        "enrollmentId": learner.enrollment_id,
        "total": 2,
        "completed": 1,
        "percent": 50,
        "completedLessonIds": [first],
    }
    assert await progress.gateway.next_lesson(learner.user_id, learner.course.id) == {"lessonId": second}
