"""What a verification says of single records: what is missed, and what nobody can tell any more."""

from dataclasses import replace

import pytest
from aiokafka import TopicPartition

from ops.verify.findings import Findings
from shared.kafka.deadletter import (
    DISCARDED_AT,
    ORIGINAL_OFFSET,
    ORIGINAL_PARTITION,
    ORIGINAL_TOPIC,
    REASON,
    REPLAYS,
    Position,
    position_in,
)
from shared.kafka.records import Record
from shared.verification import Defect, Unjudged
from tests.support.builders import enrollment_id, record
from tests.support.certifying import revoke
from tests.support.planting import bury
from tests.support.recalculating import course_changed
from tests.support.verified import ADA, CAROL, COURSE, LESSONS, Run, asked, healthy_run

DEAD_LETTERS = "progress.deadletters"


def named(findings: Findings, kind: Defect) -> list[str]:
    return [finding.subject for finding in findings.listed if finding.kind is kind]


def place(one: Record) -> str:
    return f"{one.topic}:{one.partition}:{one.offset}"


def revocation() -> Record:
    """Of Ada's certificate, with an id of its own: another revocation of the run was answered."""
    made = revoke(enrollment_id(ADA))
    headers = tuple((name, b"revocation-2" if name == "ce_id" else value) for name, value in made.headers)
    return replace(made, headers=headers)


@pytest.mark.parametrize("command", [revocation(), course_changed(COURSE)], ids=["revoke", "change"])
async def test_an_operators_command_that_was_passed_over_is_named(command: Record) -> None:
    run = await healthy_run()
    [sent] = run.swallow(command)

    assert named(await run.verify(), Defect.SWALLOWED_COMMAND) == [place(sent)]


async def test_whose_certificate_was_made_since_may_have_been_revoked_before() -> None:
    run = await healthy_run()
    run.swallow(revocation())
    certificate = run.certificates.stored[enrollment_id(ADA)]
    run.certificates.stored[enrollment_id(ADA)] = replace(certificate, issued_at=run.clock() + 10)

    findings = await run.verify()

    assert named(findings, Defect.SWALLOWED_COMMAND) == []
    assert findings.unjudged[Unjudged.CERTIFICATE_MADE_SINCE] == 1


async def test_what_was_answered_as_recorded_and_is_not_there_is_missed_whatever_changed_since() -> None:
    run = await healthy_run()
    run.log.create("progress.replies.web")
    [sent] = run.send(asked(CAROL, LESSONS[0], headers=[("reply-to", b"progress.replies.web")]))
    await run.handle()
    del run.progress.facts[CAROL, LESSONS[0]]
    run.send(course_changed(COURSE))
    await run.handle()

    assert named(await run.verify(), Defect.SWALLOWED_COMMAND) == [place(sent)]


@pytest.mark.parametrize(
    "passed_over", [asked(CAROL, LESSONS[0]), record(value=b"{", key=CAROL.encode())], ids=["a command", "poison"]
)
async def test_a_partition_that_was_committed_beyond_what_has_not_ended_is_named(passed_over: Record) -> None:
    run = await healthy_run()
    [sent] = run.swallow(passed_over)

    findings = await run.verify()

    assert named(findings, Defect.COMMITTED_BEYOND_FINISHED) == [f"progress in {sent.topic}:{sent.partition}"]


async def test_a_dead_letter_of_which_another_copy_was_recorded_is_no_second_fate() -> None:
    run = await healthy_run()
    first, second = run.send(asked(CAROL, LESSONS[0]), asked(CAROL, LESSONS[0]))
    run.overwrite(second, replace(second, timestamp=first.timestamp))
    bury(run, first)
    await run.handle()

    findings = await run.verify()

    assert findings.healthy, findings.listed


class TestDeadLetters:
    async def test_one_that_names_no_position_is_named_by_its_own(self) -> None:
        run = await healthy_run()
        run.log.append(DEAD_LETTERS, b"{", key=None, headers=[("x", b"1")])

        assert named(await run.verify(), Defect.DEAD_LETTER_ALTERED) == [place(run.stand(DEAD_LETTERS)[-1])]

    async def test_a_mark_that_one_is_discarded_is_none(self) -> None:
        run = await healthy_run()
        before = (await run.verify()).counts["dead_letters"]
        position = position_of_the_first(run)
        texts = {
            ORIGINAL_TOPIC: position.topic, ORIGINAL_PARTITION: position.partition, ORIGINAL_OFFSET: position.offset,
            REPLAYS: 0, REASON: "seen", DISCARDED_AT: run.clock(),
        }  # fmt: skip
        headers = [(name, str(text).encode()) for name, text in texts.items()]
        run.log.append(DEAD_LETTERS, None, key=None, headers=headers)

        findings = await run.verify()

        assert findings.healthy, findings.listed
        assert (findings.counts["dead_letters"], findings.counts["dead_letters_discarded"]) == (before, 1)

    async def test_a_replay_that_died_again_has_its_own(self) -> None:
        run = await healthy_run()
        letter = run.stand(DEAD_LETTERS)[0]
        run.log.append("progress.replays", letter.value, key=letter.key, headers=[*letter.headers, (REPLAYS, b"1")])
        await run.handle()

        findings = await run.verify()

        assert findings.healthy, findings.listed
        assert findings.counts["dead_letters"] == 4

    async def test_one_whose_record_retention_took_cannot_be_judged(self) -> None:
        run = await healthy_run()
        topic, partition, offset = position_of_the_first(run)
        run.topics.begins[TopicPartition(topic, partition)] = offset + 1
        run.clock.move(1000)

        findings = await run.verify()

        assert findings.healthy, findings.listed
        assert findings.unjudged[Unjudged.OLDER_THAN_TOPIC]


def position_of_the_first(run: Run) -> Position:
    """Where the record of the first dead letter stood."""
    position = position_in(run.stand(DEAD_LETTERS)[0].headers)
    assert position is not None
    return position
