"""A course that changes under its learners."""

from tests.support.campus import Campus, CourseMade
from tests.support.eventually import eventually
from tests.support.gateway import Gateway


async def _changed(gateway: Gateway, course: CourseMade) -> None:
    token = gateway.token("course-platform", operator=True)
    await gateway.command(
        "course.changed.v1", {"courseId": course.id}, token=token, topic="recalculation.commands", key=course.id
    )


async def test_399_of_400_lessons_is_below_100_percent_and_makes_no_certificate(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(400)
    learner = await campus.learner(course)
    token = gateway.token(learner.user_id)
    for lesson in course.lessons[:399]:
        await gateway.command("lesson.complete.v1", {"lessonId": lesson}, token=token, key=learner.user_id)

    state = await gateway.progressed(learner.enrollment_id, completed=399)

    assert state["progressPercent"] == 399 / 400 * 100
    assert state["completedAt"] is None
    assert gateway.seen("course.completed", lambda s: s.key == learner.enrollment_id.encode()) == []
    assert await campus.certificates(learner) == []


async def test_lessons_added_after_completion_lower_the_percentage_and_keep_completed_at(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(2)
    learner = await campus.learner(course)
    for lesson in course.lessons:
        await gateway.complete(learner.user_id, lesson)
    done = await gateway.progressed(learner.enrollment_id, completed=2)
    certificate = await gateway.certificate(learner.enrollment_id)

    await campus.db["lessons"].insert_many(
        [{"_id": f"{course.id}-new{n}", "moduleId": course.modules[0], "title": "New", "order": 9} for n in range(2)]
    )
    await _changed(gateway, course)

    state = await gateway.progressed(learner.enrollment_id, completed=2, total=4)
    assert state["progressPercent"] == 50
    assert state["completedAt"] == done["completedAt"]
    assert state["revision"] > done["revision"]
    stored = await campus.enrollment(learner)
    assert (stored["progressPercent"], stored["completedAt"]) == (50, done["completedAt"])
    [kept] = await campus.certificates(learner)
    assert kept["_id"] == certificate["certificateId"]


async def test_removing_the_last_unfinished_lesson_completes_those_who_now_have_all(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(3)
    finished, unfinished = await campus.learner(course), await campus.learner(course)
    for lesson in course.lessons[:2]:
        await gateway.complete(finished.user_id, lesson)
    await gateway.complete(unfinished.user_id, course.lessons[0])
    before = await gateway.progressed(finished.enrollment_id, completed=2)
    assert before["completedAt"] is None

    await campus.db["lessons"].delete_one({"_id": course.lessons[2]})
    await _changed(gateway, course)

    state = await gateway.progressed(finished.enrollment_id, completed=2, total=2)
    records = await campus.records(finished)
    assert state["progressPercent"] == 100
    assert state["completedAt"] >= max(record["completedAt"] for record in records)
    await gateway.certificate(finished.enrollment_id)
    other = await gateway.progressed(unfinished.enrollment_id, completed=1, total=2)
    assert other["completedAt"] is None

    async def swept() -> bool:
        sweep = await campus.db["courseSweeps"].find_one({"_id": course.id})
        return sweep is not None and sweep.get("finishedAt") is not None

    await eventually(swept, within=60)
    assert state["completedAt"] == (await campus.db["courseSweeps"].find_one({"_id": course.id}))["requestedAt"]
    assert await campus.certificates(unfinished) == []


async def test_an_operator_recalculates_one_enrollment_and_hears_its_percentage(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(4)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.progressed(learner.enrollment_id, completed=1)
    await campus.db["enrollments"].update_one({"_id": learner.enrollment_id}, {"$set": {"progressPercent": 99.0}})

    reply = await gateway.operate(
        "progress.recalculate.v1", {"enrollmentId": learner.enrollment_id}, "recalculation.commands"
    )

    assert reply.type == "progress.recalculated.v1"
    assert reply.data == {"enrollmentId": learner.enrollment_id, "progressPercent": 25, "completedAt": None}
    assert (await campus.enrollment(learner))["progressPercent"] == 25


async def test_an_unknown_enrollment_is_404_and_a_learner_is_no_operator(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)

    unknown = await gateway.operate("progress.recalculate.v1", {"enrollmentId": "nowhere"}, "recalculation.commands")
    refused = await gateway.reply(
        await gateway.command(
            "progress.recalculate.v1",
            {"enrollmentId": learner.enrollment_id},
            token=gateway.token(learner.user_id),
            topic="recalculation.commands",
        )
    )

    assert unknown.data == {"code": 404, "reason": "Enrollment not found"}
    assert refused.data == {"code": 403, "reason": "Operator role required"}
