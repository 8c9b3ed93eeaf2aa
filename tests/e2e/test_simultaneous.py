"""What happens at the same instant is counted once each."""

import asyncio

from tests.support.campus import Campus
from tests.support.eventually import eventually
from tests.support.gateway import Gateway


async def test_two_lessons_marked_at_the_same_instant_are_both_counted(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(4)
    learner = await campus.learner(course)

    token = gateway.token(learner.user_id)
    await asyncio.gather(
        *(
            gateway.command("lesson.complete.v1", {"lessonId": lesson}, token=token, partition=n)
            for n, lesson in enumerate(course.lessons[:2])
        )
    )

    state = await gateway.progressed(learner.enrollment_id, completed=2)
    assert state["progressPercent"] == 50
    assert len(await campus.records(learner)) == 2


async def test_the_last_two_lessons_at_the_same_instant_make_one_certificate(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(5)
    learner = await campus.learner(course)
    for lesson in course.lessons[:3]:
        await gateway.complete(learner.user_id, lesson)

    token = gateway.token(learner.user_id)
    await asyncio.gather(
        *(
            gateway.command("lesson.complete.v1", {"lessonId": lesson}, token=token, partition=n)
            for n, lesson in enumerate(course.lessons[3:])
        )
    )

    state = await gateway.progressed(learner.enrollment_id, completed=5)
    assert state["completedAt"] is not None
    await gateway.certificate(learner.enrollment_id)
    assert len(await campus.certificates(learner)) == 1
    kinds = sorted(n["kind"] for n in await campus.notifications(learner))
    assert kinds == ["certificate_ready", "course_completed"]


async def test_one_lesson_marked_1000_times_on_several_partitions_is_one_record_and_one_certificate(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    token = gateway.token(learner.user_id)

    correlations = await asyncio.gather(
        *(
            gateway.command("lesson.complete.v1", {"lessonId": course.lessons[0]}, token=token, partition=n % 6)
            for n in range(1000)
        )
    )

    wanted = {c.encode() for c in correlations}
    replies = await gateway.wait_for(
        "progress.replies", lambda s: s.headers.get("correlation-id") in wanted, count=1000, seconds=120
    )
    assert {r.type for r in replies} == {"lesson.marked.v1"}
    assert len({r.data["progressId"] for r in replies}) == 1
    assert len({r.data["completedAt"] for r in replies}) == 1
    assert sum(not r.data["alreadyCompleted"] for r in replies) == 1
    assert len(await campus.records(learner)) == 1
    await gateway.certificate(learner.enrollment_id)

    async def once() -> bool:
        return len(await campus.certificates(learner)) == 1 and len(await campus.notifications(learner)) == 2

    await eventually(once, within=60)
    issued = gateway.seen("certificate.issued", lambda s: s.key == learner.enrollment_id.encode())
    assert len({s.headers["ce_id"] for s in issued}) == 1
