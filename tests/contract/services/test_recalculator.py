"""The recalculator alone, as progress, live screens, certificates and operators see it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.contracts.envelope import rfc3339
from shared.contracts.ids import deterministic_id, progress_id
from tests.support.alone import Alone, Neighbourhood, same
from tests.support.campus import Learner
from tests.support.conformity import conforming, example
from tests.support.gateway import Seen

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

COMPLETED, PROGRESSED, COURSE_COMPLETED = "lesson.completed", "enrollment.progressed", "course.completed"
COMMANDS = "recalculation.commands"
RECALCULATE, CHANGED = "progress.recalculate.v1", "course.changed.v1"
AT = 1_700_000_000_000


@pytest.fixture(scope="module")
async def recalculator(around: Neighbourhood) -> AsyncIterator[Alone]:
    async with around.alone("recalculator") as alone:
        yield alone


@pytest.fixture
async def learner(recalculator: Alone) -> Learner:
    """A learner of a course with two lessons and a preview, who has completed none."""
    return await recalculator.campus.learner(await recalculator.campus.course(1, 1, preview=1))


async def marked(recalculator: Alone, learner: Learner, lesson: str, *, at: int = AT) -> None:
    """What progress does: it stores the fact, then it tells."""
    fact = {
        "userId": learner.user_id,
        "lessonId": lesson,
        "courseId": learner.course.id,
        "enrollmentId": learner.enrollment_id,
        "completedAt": at,
    }
    record_id = progress_id(learner.user_id, lesson)
    await recalculator.around.db["lessonProgress"].replace_one({"_id": record_id}, fact, upsert=True)
    event = {"progressId": record_id, **fact}
    await recalculator.told(COMPLETED, "lesson.completed.v1", event, key=learner.enrollment_id)


async def published(recalculator: Alone, topic: str, learner: Learner, count: int = 1) -> list[Seen]:
    return await recalculator.gateway.wait_for(topic, lambda s: s.key == learner.enrollment_id.encode(), count=count)


async def state_of(recalculator: Alone, learner: Learner) -> dict[str, Any]:
    """The fields of the enrollment that are the recalculator's."""
    [document] = await recalculator.documents("enrollments", _id=learner.enrollment_id)
    names = ("progressPercent", "completedLessons", "totalLessons", "revision", "completedAt")
    return {name: document[name] for name in names if name in document}


async def test_a_completed_lesson_moves_the_enrollment_and_the_screens(recalculator: Alone, learner: Learner) -> None:
    await marked(recalculator, learner, learner.course.lessons[0])

    [event] = await published(recalculator, PROGRESSED, learner)
    assert event.data == {
        "enrollmentId": learner.enrollment_id,
        "userId": learner.user_id,
        "courseId": learner.course.id,
        "completed": 1,
        "total": 2,
        "progressPercent": 50,
        "completedAt": None,
        "revision": 1,
    }
    assert event.headers["ce_id"] == deterministic_id("enrollment.progressed.v1", learner.enrollment_id, 1).encode()
    assert event.headers["ce_correlationid"] == b"click-1"
    assert await state_of(recalculator, learner) == {
        "progressPercent": 50,
        "completedLessons": 1,
        "totalLessons": 2,
        "revision": 1,
    }


async def test_the_last_lesson_completes_the_course_at_the_moment_of_the_last_fact(
    recalculator: Alone, learner: Learner
) -> None:
    first, second = learner.course.lessons
    await marked(recalculator, learner, first, at=AT + 5)
    await marked(recalculator, learner, second, at=AT)

    completed = (await published(recalculator, COURSE_COMPLETED, learner))[0]

    place = {"enrollmentId": learner.enrollment_id, "userId": learner.user_id, "courseId": learner.course.id}
    assert completed.data == {**place, "completedAt": AT + 5}
    assert completed.headers["ce_id"] == deterministic_id("course.completed.v1", learner.enrollment_id).encode()
    assert completed.headers["ce_time"] == rfc3339(AT + 5).encode()
    stored = await state_of(recalculator, learner)
    assert (stored["progressPercent"], stored["completedAt"]) == (100, AT + 5)
    state = await recalculator.gateway.progressed(learner.enrollment_id, completed=2)
    assert (state["progressPercent"], state["completedAt"], state["revision"]) == (100, AT + 5, stored["revision"])


async def test_the_same_event_again_publishes_the_stored_state_byte_for_byte(
    recalculator: Alone, learner: Learner
) -> None:
    for _ in range(2):
        await marked(recalculator, learner, learner.course.lessons[0])

    assert same(*await published(recalculator, PROGRESSED, learner, count=2))
    assert (await state_of(recalculator, learner))["revision"] == 1


async def test_an_operator_s_recalculation_is_answered_with_what_the_facts_say(
    recalculator: Alone, learner: Learner
) -> None:
    await marked(recalculator, learner, learner.course.lessons[0])
    await published(recalculator, PROGRESSED, learner)
    wrong = {"$set": {"progressPercent": 7.5, "completedLessons": 9}}
    await recalculator.around.db["enrollments"].update_one({"_id": learner.enrollment_id}, wrong)

    command = conforming(RECALCULATE, {"enrollmentId": learner.enrollment_id})
    reply = await recalculator.gateway.operate(RECALCULATE, command, COMMANDS)

    assert (reply.type, reply.data) == (
        "progress.recalculated.v1",
        {"enrollmentId": learner.enrollment_id, "progressPercent": 50, "completedAt": None},
    )
    stored = await state_of(recalculator, learner)
    assert (stored["progressPercent"], stored["completedLessons"], stored["revision"]) == (50, 1, 2)


async def test_an_unknown_enrollment_is_404_and_a_learner_is_403(recalculator: Alone, learner: Learner) -> None:
    unknown = await recalculator.gateway.operate(RECALCULATE, {"enrollmentId": "nowhere"}, COMMANDS)
    token = recalculator.gateway.token(learner.user_id)
    command = {"enrollmentId": learner.enrollment_id}
    asked = await recalculator.gateway.command(RECALCULATE, command, token=token, topic=COMMANDS)
    forbidden = await recalculator.gateway.reply(asked)

    assert unknown.data == example("command.rejected.v1.404-enrollment-not-found")["value"]
    assert forbidden.data == example("command.rejected.v1.403-operator-role-required")["value"]
    assert await state_of(recalculator, learner) == {}


async def test_a_changed_course_is_swept_and_completes_who_has_everything_now(
    recalculator: Alone, learner: Learner
) -> None:
    first, second = learner.course.lessons
    await marked(recalculator, learner, first)
    await published(recalculator, PROGRESSED, learner)
    await recalculator.around.db["lessons"].delete_one({"_id": second})

    token = recalculator.gateway.token("platform", operator=True)
    change = conforming(CHANGED, {"courseId": learner.course.id})
    await recalculator.gateway.command(CHANGED, change, token=token, topic=COMMANDS, key=learner.course.id)

    completed = (await published(recalculator, COURSE_COMPLETED, learner))[0]
    assert completed.data["completedAt"] > AT  # the record time of the change, not of the fact
    state = await recalculator.gateway.progressed(learner.enrollment_id, completed=1, total=1)
    assert state["progressPercent"] == 100
    [sweep] = await recalculator.documents("courseSweeps", _id=learner.course.id)
    assert sweep["requestedAt"] == completed.data["completedAt"]


@pytest.mark.parametrize(("topic", "kind"), [(COMPLETED, "lesson.completed.v1"), (COMMANDS, RECALCULATE)])
async def test_what_nobody_can_read_is_a_dead_letter_and_its_neighbours_are_handled(
    recalculator: Alone, learner: Learner, topic: str, kind: str
) -> None:
    await recalculator.poisoned(topic, kind)

    await marked(recalculator, learner, learner.course.lessons[0])
    assert await published(recalculator, PROGRESSED, learner)
