"""Events: published before anything is committed, the same on every try, in the form that every reader knows."""

from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from services.progress.messaging import lesson_completed
from shared.contracts.envelope import rfc3339
from shared.contracts.ids import deterministic_id, progress_id
from shared.contracts.topics import EVENT_BYTES, LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.errors import Fatal
from shared.kafka.records import Outcome
from tests.support.builders import command, completion
from tests.support.fake_log import FakeLog
from tests.support.issuer import NOW
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script, recorded

P0 = TopicPartition(PROGRESS_COMMANDS, 0)
DEAD_LETTERS = "progress.deadletters"
AWAY = [KafkaTimeoutError(), RequestTimedOutError(), NotLeaderForPartitionError(), KafkaError()]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_nothing_is_committed_while_an_event_cannot_be_published(
    process: Process, log: FakeLog, error: Exception
) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    process.producer.refuse = lambda topic, _: error if topic == LESSON_COMPLETED else None

    await process.run(batches=60)

    assert (log.commits, process.names, log.read(DEAD_LETTERS)) == ([], [], [])


@pytest.mark.parametrize("topic", [LESSON_COMPLETED, DEAD_LETTERS])
async def test_what_the_broker_refuses_for_good_ends_the_service_and_nothing_is_committed(
    process: Process, log: FakeLog, topic: str
) -> None:
    log.add(command("lesson-1"), command(value=b"not JSON"))
    process.producer.refuse = lambda to, _: TopicAuthorizationFailedError() if to == topic else None

    with pytest.raises(Fatal, match="TopicAuthorizationFailedError"):
        await process.run(batches=5)

    assert log.commits == []


async def test_a_repeated_event_has_the_same_id_time_and_bytes(process: Process, log: FakeLog) -> None:
    log.add(command("lesson-1"))
    process.producer.lose = lambda topic, _: KafkaTimeoutError() if topic == LESSON_COMPLETED else None
    await process.run(batches=10)
    process.producer.lose = lambda _topic, _value: None

    await process.run()

    events = log.read(LESSON_COMPLETED)
    assert len(events) > 2
    assert len({(e.key, e.value, e.headers) for e in events}) == 1
    assert log.committed == {P0: 1}


async def test_only_the_record_whose_event_failed_waits(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    # Events of one partition are acknowledged together; this one goes to another.
    elsewhere = completion("learner-2", "lesson-2")
    script.outcomes["lesson-2"] = Outcome("recorded", events=[lesson_completed(elsewhere)])
    unlucky = recorded("lesson-1").events[0].message.to_json()
    process.producer.refuse = lambda _, value: KafkaTimeoutError() if value == unlucky else None

    await process.run(batches=20)

    assert script.handled.count("lesson-1") > 5
    assert script.handled.count("lesson-2") == 1
    assert log.commits == []


async def test_an_event_carries_the_envelope_of_its_fact_and_of_its_cause(process: Process, log: FakeLog) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = [("correlation-id", b"click-7"), ("ce_traceparent", trace)]
    log.add(command("lesson-1", headers=headers))

    await process.run()

    [event] = log.read(LESSON_COMPLETED)
    assert event.key == b"learner-1@course-1"
    assert event.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", deterministic_id("lesson.completed.v1", progress_id("learner-1", "lesson-1")).encode()),
        ("ce_type", b"lesson.completed.v1"),
        ("ce_source", b"/services/progress"),
        ("ce_time", rfc3339(NOW).encode()),
        ("content-type", b"application/json"),
        ("ce_correlationid", b"click-7"),
        ("ce_causationid", b"learner-1/lesson-1"),
        ("ce_traceparent", trace),
    )


async def test_an_event_without_sender_s_words_is_tied_to_the_record_s_position(process: Process, log: FakeLog) -> None:
    whole = command("lesson-1")
    bare = tuple(header for header in whole.headers if header[0] in {"ce_type", "authorization"})
    log.add(command("lesson-0"), replace(whole, headers=bare))

    await process.run()

    headers = dict(log.read(LESSON_COMPLETED)[1].headers)
    assert headers["ce_causationid"] == headers["ce_correlationid"] == b"progress.commands:0:1"


async def test_an_event_too_large_for_its_topic_makes_its_command_a_dead_letter(
    process: Process, log: FakeLog, script: Script
) -> None:
    huge = completion(lesson_id="l" * 255)
    event = recorded("lesson-1").events[0]
    message = event.message.model_copy(update={"lesson_id": "l" * (EVENT_BYTES + 1)})
    script.outcomes["lesson-1"] = Outcome(
        "recorded", events=[type(event)(event.topic, event.key, message, event.id, huge.completed_at)]
    )
    log.add(command("lesson-1"), command("lesson-2"))

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert dict(letter.headers)["x-dead-letter-error"] == b"OutputTooLarge"
    assert letter.value == command("lesson-1").value
    assert log.committed == {P0: 2}
    assert process.names == ["dead_letter", "recorded"]


async def test_the_offset_waits_until_the_dead_letter_is_acknowledged(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command(value=b"poison"), command("lesson-1"))
    log.delete(DEAD_LETTERS)
    await process.run(batches=60)
    assert (log.commits, process.names) == ([], ["recorded"])

    log.create(DEAD_LETTERS)
    await process.run()

    assert len(log.read(DEAD_LETTERS)) == 1
    assert log.committed == {P0: 2}
    assert script.handled == ["lesson-1"]


async def test_a_second_copy_of_a_dead_letter_has_the_same_position(process: Process, log: FakeLog) -> None:
    log.add(command(value=b"poison"))
    process.producer.lose = lambda topic, _: KafkaTimeoutError() if topic == DEAD_LETTERS else None
    await process.run(batches=3)
    process.producer.lose = lambda _topic, _value: None

    await process.run()

    letters = log.read(DEAD_LETTERS)
    assert len(letters) > 1
    assert {dict(letter.headers)["x-dead-letter-offset"] for letter in letters} == {b"0"}
    assert process.names == ["invalid"]


async def test_an_absent_dead_letter_topic_is_asked_for_once_a_batch(process: Process, log: FakeLog) -> None:
    # The client asks the broker for 20 s before it says that a topic is absent.
    asked: list[str] = []
    partitions_for = process.producer.partitions_for

    async def counting(topic: str) -> set[int]:
        asked.append(topic)
        return await partitions_for(topic)

    process.producer.partitions_for = counting  # type: ignore[method-assign]
    log.add(*(command(value=b"poison") for _ in range(50)))
    log.delete(DEAD_LETTERS)

    await process.batch()

    assert asked == [DEAD_LETTERS]


async def test_an_absent_event_topic_is_asked_for_once_a_batch(process: Process, log: FakeLog) -> None:
    asked: list[str] = []
    partitions_for = process.producer.partitions_for

    async def counting(topic: str) -> set[int]:
        asked.append(topic)
        return await partitions_for(topic)

    process.producer.partitions_for = counting  # type: ignore[method-assign]
    log.add(*(command(f"lesson-{n}") for n in range(50)))
    log.delete(LESSON_COMPLETED)

    await process.batch()

    assert asked == [LESSON_COMPLETED]
    assert process.names == []
