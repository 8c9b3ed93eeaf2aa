"""`lesson-progress verify` on a real system: silent on a healthy run, and it names what is planted there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from ops.stacks import SERVICES, StackKind
from shared.contracts import topics
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import progress_id
from shared.kafka.deadletter import dead_letter
from shared.kafka.retries import Attempts
from shared.verification import Defect
from tests.support.campus import CourseMade, Learner
from tests.support.command_line import Ended, lesson_progress
from tests.support.eventually import eventually
from tests.support.gateway import Seen
from tests.support.system import System, running_system

#: What becomes of each learner's certificate and notifications.
_FLAWS = ("moment", "doubled", "missing", "unfinished", "fileless", "untold", "told_twice")


@pytest.fixture
async def system(stack_kind: StackKind, record_property: Any) -> AsyncIterator[System]:
    async with running_system(stack_kind) as running:
        record_property("stack", f"{running.stack.parts.broker} and {running.stack.parts.database}")
        yield running


@pytest.mark.timeout(600)
async def test_it_is_silent_on_a_healthy_run_and_names_every_kind_of_planted_defect(
    system: System, stack_kind: StackKind
) -> None:
    course = await system.campus.course(2, preview=1)
    learners = {name: await system.campus.learner(course, name=f"The {name}") for name in (*_FLAWS, "half", "none")}
    letter = await _live(system, course, learners)
    await eventually(lambda: _settled(system), within=60)

    healthy = await lesson_progress(system, "verify", "--settled", "--json")

    assert healthy.code == 0, healthy.out + healthy.err
    assert healthy.json["fates"][topics.PROGRESS_COMMANDS] == {"recorded": 16, "rejected": 2, "dead_letter": 1}
    assert healthy.json["defects"]["total"] == 0
    assert "Bearer" not in healthy.out

    for service in SERVICES:
        await system.stack.stop_service(service)
    await _plant_in_database(system, learners)
    expected = await _plant_in_topics(system, learners, letter, stamped=stack_kind is StackKind.KAFKA)

    planted = await lesson_progress(system, "verify", "--settled", "--json", "--listed", "100")

    assert planted.code == 1
    found = {(one["kind"], one["subject"]) for one in planted.json["defects"]["listed"]}
    assert {kind for kind, _ in found} == {kind.value for kind in expected}, planted.out
    for kind, subject in _subjects(learners).items():
        assert any(subject in named for of_kind, named in found if of_kind == kind), (kind, subject, planted.out)
    assert planted.err.splitlines()[-1].startswith("lesson-progress: ")

    audited = await lesson_progress(system, "audit")

    assert (audited.code, "passed over, since it cannot be read: lessonProgress torn" in audited.err) == (1, True)


def _subjects(learners: dict[str, Learner]) -> dict[Defect, str]:
    """Whose each defect is, where an enrollment has it."""
    of = {name: learner.enrollment_id for name, learner in learners.items()}
    return {
        Defect.WRONG_PERCENTAGE: of["half"],
        Defect.WRONG_COMPLETED_AT: of["moment"],
        Defect.MISSING_CERTIFICATE: of["missing"],
        Defect.DOUBLED_CERTIFICATE: of["doubled"],
        Defect.UNFINISHED_CERTIFICATE: of["unfinished"],
        Defect.CERTIFICATE_WITHOUT_COMPLETION: of["half"],
        Defect.MISSING_FILE: of["fileless"],
        Defect.MISSING_NOTIFICATION: of["untold"],
        Defect.DOUBLED_NOTIFICATION: "told-twice",
        Defect.NOTIFICATION_WITHOUT_COMPLETION: "told-for-nothing",
        Defect.LOST_EVENT: progress_id(learners["none"].user_id, learners["none"].course.lessons[0]),
        Defect.UNREADABLE_DOCUMENT: "lessonProgress torn",
        Defect.RECORD_WITHOUT_COMMAND: progress_id(learners["none"].user_id, f"{learners['none'].course.id}-p0"),
    }


async def _live(system: System, course: CourseMade, learners: dict[str, Learner]) -> Seen:
    """A healthy run: completions, a repeat, refusals, poison; answers the dead letter."""
    for name in _FLAWS:
        for lesson in course.lessons:
            await system.gateway.complete(learners[name].user_id, lesson)
    for _ in range(2):
        await system.gateway.complete(learners["half"].user_id, course.lessons[0], partition=0)
    await system.gateway.complete("stranger", course.lessons[0])
    await system.gateway.complete(learners["half"].user_id, "nowhere")
    await system.gateway.send(topics.PROGRESS_COMMANDS, b"\xff", key=b"poison", headers=[("ce_type", b"\xff")])
    for name in _FLAWS:
        await system.gateway.certificate(learners[name].enrollment_id)
    return await system.gateway.dead_letter("progress", lambda seen: seen.key == b"poison")


async def _settled(system: System) -> bool:
    ended: Ended = await lesson_progress(system, "verify", "--json")
    return not ended.json["unfinished"]


async def _plant_in_database(system: System, learners: dict[str, Learner]) -> None:
    db, of = system.campus.db, {name: learner.enrollment_id for name, learner in learners.items()}
    half = learners["half"]
    await db["enrollments"].update_one({"_id": of["half"]}, {"$set": {"progressPercent": 75.0}})
    await db["enrollments"].update_one({"_id": of["moment"]}, {"$inc": {"completedAt": 60_000}})
    await db["certificates"].drop_index("enrollmentId_1")
    doubled = await db["certificates"].find_one({"enrollmentId": of["doubled"]})
    await db["certificates"].insert_one({**doubled, "_id": "another"})
    unearned = {**doubled, "_id": "unearned", "enrollmentId": of["half"], "userId": half.user_id}
    await db["certificates"].insert_one(unearned)
    await db["certificates"].delete_one({"enrollmentId": of["missing"]})
    await db["certificates"].update_one({"enrollmentId": of["unfinished"]}, {"$set": {"status": "rendered"}})
    fileless = await db["certificates"].find_one({"enrollmentId": of["fileless"]})
    await db["fs.chunks"].delete_many({"files_id": fileless["fileId"]})
    await db["notifications"].delete_one({"userId": learners["untold"].user_id, "kind": "certificate_ready"})
    told = await db["notifications"].find_one({"userId": learners["told_twice"].user_id, "kind": "certificate_ready"})
    await db["notifications"].insert_one({**told, "_id": "told-twice"})
    await db["notifications"].insert_one({**told, "_id": "told-for-nothing", "userId": half.user_id})
    await _record(system, learners["none"], f"{half.course.id}-p0", at=1_700_000_000_000)
    await db["lessonProgress"].insert_one({"_id": "torn", "userId": half.user_id, "lessonId": half.course.lessons[1]})


async def _record(system: System, learner: Learner, lesson_id: str, *, at: int) -> None:
    document = {
        "_id": progress_id(learner.user_id, lesson_id),
        "userId": learner.user_id,
        "lessonId": lesson_id,
        "courseId": learner.course.id,
        "enrollmentId": learner.enrollment_id,
        "completedAt": at,
    }
    await system.campus.db["lessonProgress"].insert_one(document)


async def _plant_in_topics(system: System, learners: dict[str, Learner], letter: Seen, *, stamped: bool) -> set[Defect]:
    """What is sent while nobody handles it, most of it committed all the same; answers all kinds that are planted."""
    gateway, nobody = system.gateway, learners["none"]
    token = gateway.token(nobody.user_id)
    for lesson in nobody.course.lessons:  # the first one is recorded by hand, without its event; the other is not
        await gateway.command(LessonComplete.TYPE, {"lessonId": lesson}, token=token, partition=0)
    await gateway.send(topics.PROGRESS_COMMANDS, b"{", partition=0)
    commands = await _commands(system)
    await _commit_to_the_end(system)
    lost = [c for c in commands if nobody.course.lessons[0].encode() in (c.value or b"")][-1]
    await _record(system, nobody, nobody.course.lessons[0], at=lost.timestamp)
    await gateway.command(LessonComplete.TYPE, {"lessonId": nobody.course.lessons[1]}, token=token, partition=0)
    await _plant_letters(system, letter, commands[0])
    issued = gateway.seen(topics.CERTIFICATE_ISSUED)[0]
    unknown = (issued.raw or b"").replace(issued.data["certificateId"].encode(), b"nobodys")
    headers = [(name, b"another" if name == "ce_id" else value) for name, value in issued.record.headers]
    await gateway.send(topics.CERTIFICATE_ISSUED, unknown, key=issued.key, headers=headers)
    told = gateway.seen(topics.NOTIFICATION_CREATED)[0]
    changed = (told.raw or b"").replace(b'"title":"', b'"title":"Another ')
    await gateway.send(topics.NOTIFICATION_CREATED, changed, key=told.key, headers=list(told.record.headers))
    return set(Defect) - (set() if stamped else {Defect.DOUBLED_FATE})


async def _plant_letters(system: System, letter: Seen, recorded: Any) -> None:
    own = list(letter.record.headers)
    nowhere = [(name, b"999999" if name == "x-dead-letter-offset" else value) for name, value in own]
    of_recorded = dead_letter(
        recorded, group="progress", failure=ValueError(), attempts=Attempts(5, 1), at=recorded.timestamp, version="1"
    )
    for key, value, headers in (
        (letter.key, b"altered", own),
        (letter.key, letter.raw, nowhere),
        (of_recorded.key, of_recorded.value, of_recorded.headers),
    ):
        await system.gateway.send(topics.dead_letters_of("progress"), value, key=key, headers=headers)


async def _commands(system: System) -> list[Any]:
    """The commands in the first partition, the healthy one first."""
    partition = TopicPartition(topics.PROGRESS_COMMANDS, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=system.stack.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([partition])
        found: list[Any] = []
        while not found or found[-1].value != b"{":
            found += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
        return found
    finally:
        await consumer.stop()


async def _commit_to_the_end(system: System) -> None:
    partition = TopicPartition(topics.PROGRESS_COMMANDS, 0)
    commands = await _commands(system)
    # As a member of the group: the embedded broker takes no commit from anybody else.
    consumer = AIOKafkaConsumer(
        partition.topic,
        bootstrap_servers=system.stack.bootstrap_servers,
        group_id="progress",
        enable_auto_commit=False,
        partition_assignment_strategy=[StickyPartitionAssignor],
    )
    await consumer.start()
    try:
        await eventually(lambda: partition in consumer.assignment(), within=60)
        await consumer.commit({partition: commands[-1].offset + 1})
    finally:
        await consumer.stop()
