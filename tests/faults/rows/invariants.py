"""What has to be true of a world once everything sent has had its effect, whatever the fault was."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from shared.contracts import topics
from shared.contracts.ids import progress_id

if TYPE_CHECKING:
    from tests.faults.rows.world import World

_EVENTS = (
    topics.LESSON_COMPLETED,
    topics.ENROLLMENT_PROGRESSED,
    topics.COURSE_COMPLETED,
    topics.CERTIFICATE_ISSUED,
    topics.NOTIFICATION_CREATED,
)


async def hold(world: World) -> None:
    """Nothing lost, nothing doubled.

    Raises:
        AssertionError: something was, or is wrong.
    """
    await _recorded_once(world)
    await _certified_once(world)
    _same_events(world)
    _no_dead_letters(world)


async def _recorded_once(world: World) -> None:
    total = len(world.course.lessons)
    for learner in world.learners:
        done = world.done(learner)
        expected = {progress_id(learner.user_id, lesson) for lesson in done}
        stored = [record["_id"] for record in await world.campus.records(learner)]
        assert sorted(stored) == sorted(expected), f"records of {learner.user_id}: {stored}, expected {expected}"
        state = await world.campus.enrollment(learner)
        figures = (state.get("completedLessons") or 0, state.get("progressPercent") or 0)
        assert figures == (len(done), len(done) / total * 100), f"{learner.enrollment_id}: {state}"
        assert bool(state.get("completedAt")) == (len(done) == total), f"{learner.enrollment_id}: {state}"
    assert not await world.campus.records(world.stranger), "a command of somebody not enrolled was recorded"


async def _certified_once(world: World) -> None:
    finished = world.finished()
    for learner in world.learners:
        certificates = await world.campus.certificates(learner)
        kinds = sorted(n["kind"] for n in await world.campus.notifications(learner))
        once = learner in finished
        assert [c["status"] for c in certificates] == ["issued"] * once, f"{learner.enrollment_id}: {certificates}"
        assert kinds == ["certificate_ready", "course_completed"] * once, f"{learner.enrollment_id}: {kinds}"
        if once:
            files = await world.campus.db["fs.files"].count_documents({"_id": certificates[0]["fileId"]})
            assert files == 1, f"{files} files of the certificate of {learner.enrollment_id}"


def _same_events(world: World) -> None:
    """One fact, one id, the same bytes, however often it came out; as many facts as there are."""
    for topic in _EVENTS:
        for identity, copies in world.copies(topic).items():
            shapes = {(s.raw, s.headers["ce_type"], s.headers["ce_source"], s.headers["ce_time"]) for s in copies}
            assert len(shapes) == 1, f"event {identity!r} on {topic} has {len(shapes)} shapes: {shapes}"
    finished, lessons = len(world.finished()), len(world.sent)
    facts = {
        topics.LESSON_COMPLETED: lessons,
        topics.COURSE_COMPLETED: finished,
        topics.CERTIFICATE_ISSUED: finished,
        topics.NOTIFICATION_CREATED: 2 * finished,
    }
    found = {topic: len(world.copies(topic)) for topic in facts}
    assert found == facts, f"distinct events: {found}, expected {facts}"
    _last_states(world)


def _last_states(world: World) -> None:
    states: defaultdict[bytes, dict[int, Any]] = defaultdict(dict)
    for seen in world.events(topics.ENROLLMENT_PROGRESSED):
        states[seen.key or b""][seen.data["revision"]] = seen.data
    for learner in world.learners:
        if done := world.done(learner):
            of_learner = states[learner.enrollment_id.encode()]
            last = of_learner[max(of_learner)]
            assert last["completed"] == len(done), f"the last state of {learner.enrollment_id} is {last}"


def _no_dead_letters(world: World) -> None:
    users = {learner.user_id.encode() for learner in (*world.learners, world.stranger)}
    enrollments = {learner.enrollment_id.encode() for learner in world.learners}
    letters = [
        letter
        for service in topics.SERVICES
        for letter in world.gateway.seen(topics.dead_letters_of(service), lambda s: s.key in users | enrollments)
    ]
    errors = [letter.headers.get("x-dead-letter-error") for letter in letters]
    assert len(letters) == world.dead_letters, f"dead letters: {errors}, expected {world.dead_letters}"
