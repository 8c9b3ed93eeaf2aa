"""A verification is silent on a healthy run, whatever happened in it, and says what it could not judge."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from aiokafka import TopicPartition

from ops.verify.reading import Extent
from shared.contracts.topics import COURSE_COMPLETED, LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.verification import Defect, Unjudged
from tests.support.builders import completion, enrollment_id, record
from tests.support.planting import bury
from tests.support.recalculating import course_changed
from tests.support.verified import ADA, BEN, CAROL, COURSE, LESSONS, Run, asked, healthy_run, unstamped


async def test_a_healthy_run_has_no_defect_and_nothing_unfinished() -> None:
    run = await healthy_run()

    findings = await run.verify(settled=True)

    assert not findings.defects, findings.listed
    assert not findings.unfinished
    assert findings.healthy


async def test_every_command_is_counted_by_how_it_ended() -> None:
    run = await healthy_run()

    fates = (await run.verify()).fates

    assert fates[PROGRESS_COMMANDS] == {"recorded": 6, "rejected": 2, "dead_letter": 3, "cannot_be_judged": 3}
    assert fates["recalculation.commands"] == {"recorded": 2, "rejected": 1}
    assert fates["certificate.commands"] == {"recorded": 2, "rejected": 2}
    assert fates[LESSON_COMPLETED] == {"recorded": 6}


async def test_what_the_catalog_of_now_refuses_cannot_be_judged_once_courses_changed() -> None:
    run = Run()
    await run.prepare()
    run.send(asked(ADA, "nowhere"), asked(ADA, "orphan-1"), asked(ADA, "preview-1"))
    await run.handle()
    assert (await run.verify()).fates[PROGRESS_COMMANDS] == {"rejected": 3}

    run.send(course_changed(COURSE))
    await run.handle()
    findings = await run.verify()

    assert findings.healthy
    assert findings.fates[PROGRESS_COMMANDS] == {"cannot_be_judged": 3}
    assert findings.unjudged == {Unjudged.COURSE_CHANGED_SINCE: 3}


async def test_an_answer_settles_what_the_catalog_of_now_cannot() -> None:
    run = Run()
    run.log.create("progress.replies.web")
    await run.prepare()
    run.send(asked(ADA, "nowhere", headers=[("reply-to", b"progress.replies.web")]))
    await run.handle()
    run.send(course_changed(COURSE))
    await run.handle()

    assert (await run.verify()).fates[PROGRESS_COMMANDS] == {"rejected": 1}


async def test_who_enrolled_after_the_command_may_have_been_refused() -> None:
    run = Run()
    await run.prepare()
    for learner, enrollment in list(run.progress.enrolled.items()):
        if learner.user_id == CAROL:
            run.progress.enrolled[learner] = replace(enrollment, enrolled_at=run.clock() + 10)
    run.swallow(asked(CAROL, LESSONS[0]))

    findings = await run.verify()

    assert findings.healthy
    assert findings.unjudged == {Unjudged.ENROLLED_SINCE: 1}


async def test_what_waits_beyond_the_committed_offsets_is_unfinished_and_no_defect() -> None:
    run = await healthy_run()
    run.send(asked(CAROL, LESSONS[0]), asked(BEN, LESSONS[1]))

    findings = await run.verify()

    assert findings.healthy
    assert findings.unfinished == {"records of progress": 2}
    assert findings.fates[PROGRESS_COMMANDS]["unfinished"] == 2


async def test_what_is_healed_while_it_is_verified_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    run = await healthy_run()
    certificate = run.certificates.stored.pop(enrollment_id(ADA))
    extents = run.topics.extents

    async def healed(topics: Collection[str]) -> Mapping[TopicPartition, Extent]:
        run.certificates.stored[certificate.enrollment_id] = certificate
        return await extents(topics)

    monkeypatch.setattr(run.topics, "extents", healed)

    findings = await run.verify()

    assert findings.healthy, findings.listed


async def test_a_percentage_whose_event_waits_is_unfinished() -> None:
    run = await healthy_run()
    run.send(asked(BEN, LESSONS[1]))
    await run._progress.run()
    run.recalculator.records[BEN, LESSONS[1]] = run.clock()

    findings = await run.verify()

    assert findings.healthy
    assert findings.unfinished["percentages"] == 1


async def test_what_is_older_than_its_topic_cannot_be_judged() -> None:
    run = await healthy_run()
    for partition in run.log.partitions_of(run.log.topics):
        run.topics.begins[partition] = run.log.end(partition)
    run.clock.move(1000)

    findings = await run.verify()

    assert findings.healthy
    assert findings.unjudged[Unjudged.OLDER_THAN_TOPIC] > len(run.progress.facts)
    assert not findings.fates


async def test_without_the_dead_letters_nobody_knows_what_became_of_poison() -> None:
    run = await healthy_run()
    letters = TopicPartition("progress.deadletters", 0)
    run.topics.begins[letters] = run.log.end(letters)
    run.clock.move(1000)

    findings = await run.verify()

    assert findings.healthy, findings.listed
    assert findings.unjudged[Unjudged.OLDER_THAN_TOPIC] == 3


async def test_a_record_whose_other_copy_waits_owes_no_event_yet() -> None:
    run = await healthy_run()
    copy = run.send(asked(CAROL, LESSONS[0]), asked(CAROL, LESSONS[0]))
    bury(run, copy[0])
    run.log.committed[TopicPartition(PROGRESS_COMMANDS, copy[0].partition)] = copy[0].offset + 1
    fact = completion(CAROL, LESSONS[0], at=copy[1].timestamp)
    run.progress.facts[CAROL, LESSONS[0]] = fact

    findings = await run.verify()

    assert findings.healthy, findings.listed
    assert findings.unfinished["events"] == 1


async def test_a_partition_that_cannot_be_read_is_said_to_be_so() -> None:
    run = await healthy_run()
    run.topics.unreadable |= {TopicPartition(LESSON_COMPLETED, n) for n in range(2)}

    findings = await run.verify()

    assert findings.healthy
    assert findings.unjudged[Unjudged.UNREADABLE_PARTITION] == 6


async def test_a_second_copy_of_an_event_or_of_a_dead_letter_is_counted_and_no_defect() -> None:
    run = await healthy_run()
    before = (await run.verify()).counts
    for topic in (LESSON_COMPLETED, "progress.deadletters", "notification.created"):
        run.log.add(run.stand(topic)[0])

    findings = await run.verify()

    assert findings.healthy, findings.listed
    assert findings.counts["event_copies"] == before["event_copies"] + 2
    assert findings.counts["dead_letter_copies"] == 1


async def test_a_strangers_record_among_events_that_became_a_dead_letter_is_no_event() -> None:
    run = await healthy_run()
    for topic, kind in ((LESSON_COMPLETED, b"lesson.completed.v1"), (COURSE_COMPLETED, b"course.completed.v1")):
        headers = (("ce_specversion", b"1.0"), ("ce_id", b"a stranger's"), ("ce_type", kind))
        run.send(record(topic, key=b"stranger", value=b"{", headers=headers))
    await run.handle()

    findings = await run.verify(settled=True)

    assert findings.healthy, findings.listed
    assert findings.fates[COURSE_COMPLETED]["dead_letter"] == 1


async def test_a_broker_that_does_not_stamp_records_is_no_cause_for_alarm() -> None:
    run = await healthy_run()
    for one in run.stand(PROGRESS_COMMANDS):
        run.overwrite(one, replace(unstamped(one), timestamp=one.timestamp - 1))

    assert (await run.verify()).healthy


async def test_what_could_not_be_judged_is_not_hidden_by_an_enrollment_that_is_gone() -> None:
    run = await healthy_run()
    del run.recalculator.stored[enrollment_id(BEN)]
    del run.certificates.enrolled[enrollment_id(BEN)]

    findings = await run.verify()

    assert findings.unjudged[Unjudged.ENROLLMENT_GONE] == 1
    assert set(findings.defects) <= {Defect.EVENT_WITHOUT_FACT}


async def test_the_report_holds_no_token_and_no_body() -> None:
    run = await healthy_run()
    run.swallow(asked(CAROL, LESSONS[0]))

    text = json.dumps((await run.verify()).as_json())

    assert "Bearer" not in text
    assert "lessonId" not in text
    assert "swallowed_command" in text
