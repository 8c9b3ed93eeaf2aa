"""AC-101.1 to AC-101.8 through the broker, as a gateway sees them."""

import asyncio

from tests.support.campus import Campus
from tests.support.gateway import Gateway
from tests.support.system import System


async def test_ac_101_1_a_command_of_an_enrolled_learner_is_recorded_and_shows_in_the_progress_query(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(4)
    learner = await campus.learner(course)
    before = await gateway.progress(learner.user_id, course.id)
    assert before == {
        "enrollmentId": learner.enrollment_id,
        "total": 4,
        "completed": 0,
        "percent": 0,
        "completedLessonIds": [],
    }

    reply = await gateway.complete(learner.user_id, course.lessons[1])

    assert reply.type == "lesson.marked.v1"
    assert reply.data["lessonId"] == course.lessons[1]
    assert reply.data["alreadyCompleted"] is False
    after = await gateway.progress(learner.user_id, course.id)
    assert after == before | {"completed": 1, "percent": 25, "completedLessonIds": [course.lessons[1]]}
    [record] = await campus.records(learner)
    assert record["_id"] == reply.data["progressId"]
    assert record["completedAt"] == reply.data["completedAt"]


async def test_ac_101_2_four_of_ten_are_done_and_a_fifth_makes_50_percent(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(10)
    learner = await campus.learner(course)
    for lesson in course.lessons[:4]:
        await gateway.complete(learner.user_id, lesson)
    assert (await gateway.progressed(learner.enrollment_id, completed=4))["progressPercent"] == 40

    await gateway.complete(learner.user_id, course.lessons[4])

    state = await gateway.progressed(learner.enrollment_id, completed=5)
    assert state["progressPercent"] == 50
    assert state["total"] == 10
    assert state["completedAt"] is None
    assert (await campus.enrollment(learner))["progressPercent"] == 50
    assert (await gateway.progress(learner.user_id, course.id))["percent"] == 50


async def test_ac_101_3_progress_survives_a_restart_of_all_services_and_a_new_token(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(3)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.progressed(learner.enrollment_id, completed=1)

    await system.restart_services()

    progress = await gateway.progress(learner.user_id, course.id)
    assert progress["completedLessonIds"] == [course.lessons[0]]
    token = gateway.token(learner.user_id, lifetime_seconds=600)
    reply = await gateway.complete(learner.user_id, course.lessons[1], token=token)
    assert reply.type == "lesson.marked.v1"
    assert (await gateway.progressed(learner.enrollment_id, completed=2))["completed"] == 2


async def test_ac_101_4_the_tenth_of_ten_sets_completed_at_and_makes_the_certificate(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(10, title="Practical Botany", instructor="Ada Teacher")
    learner = await campus.learner(course, name="Ελένη Иванова")
    for lesson in course.lessons[:9]:
        await gateway.complete(learner.user_id, lesson)
    assert (await gateway.progressed(learner.enrollment_id, completed=9))["completedAt"] is None

    last = await gateway.complete(learner.user_id, course.lessons[9])

    state = await gateway.progressed(learner.enrollment_id, completed=10)
    records = await campus.records(learner)
    assert state["progressPercent"] == 100
    assert state["completedAt"] == max(record["completedAt"] for record in records) == last.data["completedAt"]
    certificate = await gateway.certificate(learner.enrollment_id)
    page = await gateway.get("certificates", f"/v1/certificates/{certificate['certificateId']}")
    assert page.json()["recipientName"] == "Ελένη Иванова"
    assert page.json()["courseTitle"] == "Practical Botany"
    assert page.json()["status"] == "issued"
    pdf = await gateway.get("certificates", f"/v1/certificates/{certificate['certificateId']}/pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    told = await gateway.wait_for("notification.created", lambda s: s.key == learner.user_id.encode(), count=2)
    assert {s.data["kind"] for s in told} == {"course_completed", "certificate_ready"}


async def test_ac_101_5_lessons_1_to_5_of_10_are_done_and_the_next_is_6(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(10)
    learner = await campus.learner(course)
    await asyncio.gather(*(gateway.complete(learner.user_id, lesson) for lesson in course.lessons[:5]))

    assert await gateway.next_lesson(learner.user_id, course.id) == {"lessonId": course.lessons[5]}


async def test_ac_101_6_marking_lesson_3_twice_is_one_record_and_no_error(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(10)
    learner = await campus.learner(course)

    first = await gateway.complete(learner.user_id, course.lessons[2])
    second = await gateway.complete(learner.user_id, course.lessons[2])

    assert (first.type, second.type) == ("lesson.marked.v1", "lesson.marked.v1")
    assert second.data == first.data | {"alreadyCompleted": True}
    assert len(await campus.records(learner)) == 1
    events = await gateway.wait_for("lesson.completed", lambda s: s.key == learner.enrollment_id.encode(), count=2)
    same = {
        (e.raw, e.headers["ce_id"], e.headers["ce_type"], e.headers["ce_source"], e.headers["ce_time"]) for e in events
    }
    assert len(same) == 1


async def test_ac_101_7_a_learner_who_is_not_enrolled_hears_not_enrolled_in_this_course(
    gateway: Gateway, campus: Campus
) -> None:
    course, other = await campus.course(3), await campus.course(3)
    stranger = await campus.learner(other)

    reply = await gateway.complete(stranger.user_id, course.lessons[0])

    assert reply.type == "command.rejected.v1"
    assert reply.data == {"code": 403, "reason": "Not enrolled in this course", "lessonId": course.lessons[0]}
    assert await campus.records(stranger) == []
    assert await gateway.progress(stranger.user_id, course.id) is None


async def test_ac_101_8_modules_of_3_5_and_2_lessons_with_5_done_make_50_percent(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(3, 5, 2, preview=2)
    learner = await campus.learner(course)
    for lesson in (course.lessons[i] for i in (0, 2, 4, 7, 9)):
        await gateway.complete(learner.user_id, lesson)

    state = await gateway.progressed(learner.enrollment_id, completed=5)
    assert (state["total"], state["progressPercent"]) == (10, 50)
    progress = await gateway.progress(learner.user_id, course.id)
    assert (progress["total"], progress["percent"]) == (10, 50)
    assert progress["completedLessonIds"] == [course.lessons[i] for i in (0, 2, 4, 7, 9)]
