"""Unknown errors: a bug takes only its own record, after five tries, and many bugs stop the service."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from shared.contracts.topics import LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.errors import Transient
from shared.kafka.records import Outcome
from tests.support.builders import command, last_header
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script

P0 = TopicPartition(PROGRESS_COMMANDS, 0)
DEAD_LETTERS = "progress.deadletters"
BUG = ZeroDivisionError("division by zero")


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "in the middle", "last"])
async def test_one_by_one_the_culprit_is_found_and_its_neighbours_are_recorded(
    process: Process, log: FakeLog, script: Script, place: int
) -> None:
    lessons = ["lesson-1", "lesson-2"]
    lessons.insert(place, "culprit")
    log.add(*map(command, lessons))
    script.raising["culprit"] = BUG

    await process.batch()

    assert script.batches == [lessons, *([lesson] for lesson in lessons)]
    assert process.names == ["recorded", "recorded"]
    await process.run()
    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-offset") == str(place)
    assert log.committed == {P0: 3}


async def test_one_by_one_ends_with_the_first_that_finds_the_outside_away(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(*(command(f"lesson-{n}") for n in range(1000)))
    calls = script.__call__

    async def handler(batch: Sequence[Any]) -> list[Outcome]:
        if len(batch) > 1:
            raise BUG
        if len(script.batches) == 3:
            script.raising["lesson-3"] = Transient("away")
        return await calls(batch)

    process.loop._handler = handler

    await process.batch()

    assert script.handled == ["lesson-0", "lesson-1", "lesson-2", "lesson-3"]
    assert process.names == ["recorded"] * 3
    assert process.consumer.position[P0] == 3
    assert process.retries.of(P0, 3).count == 0


async def test_one_record_that_waits_by_itself_stops_no_other(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("culprit"), command("lesson-1"), command("lesson-2"))
    script.raising["culprit"] = BUG
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=Transient("overtaken"))

    await process.batch()

    assert process.names == ["recorded"]


async def test_a_bug_is_tried_five_times_with_back_off_and_then_a_dead_letter(
    process: Process, log: FakeLog, script: Script, waits: list[int], clock: FakeClock
) -> None:
    log.add(command("culprit"))
    script.raising["culprit"] = BUG
    await process.batch()
    clock.move(60_000)

    await process.run()

    assert script.handled == ["culprit"] * 5
    assert waits == [1, 2, 3, 4]
    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-error") == "ZeroDivisionError"
    assert last_header(letter, "x-dead-letter-attempts") == "5"
    assert last_header(letter, "x-dead-letter-first-failed-at") == str(NOW)
    assert process.names == ["dead_letter"]
    assert process.metric("lesson_progress_dead_letters_total", topic=PROGRESS_COMMANDS, error="ZeroDivisionError") == 1


async def test_a_bug_named_in_the_outcome_is_one_record_s_bug(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("culprit"), command("lesson-1"))
    script.outcomes["culprit"] = Outcome("dead_letter", failure=BUG)

    await process.run()

    assert script.handled.count("lesson-1") == 1
    assert len(log.read(DEAD_LETTERS)) == 1


async def test_a_handler_that_forgets_an_outcome_is_a_bug(process: Process, log: FakeLog) -> None:
    async def forgetful(_: object) -> list[Outcome]:
        return []

    process.loop._handler = forgetful
    log.add(command("lesson-1"))

    await process.run()

    assert len(log.read(DEAD_LETTERS)) == 1


async def test_a_bug_that_went_away_in_time_leaves_no_dead_letter(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("culprit"))
    script.raising["culprit"] = BUG
    for _ in range(4):
        await process.batch()
        await process.woken()

    script.raising.clear()
    await process.run()

    assert (process.names, log.read(DEAD_LETTERS)) == (["recorded"], [])
    assert process.retries._attempts == {}


async def test_waiting_for_the_outside_is_no_try(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("lesson-1"))
    process.producer.refuse = lambda topic, _: UnknownTopicOrPartitionError() if topic == LESSON_COMPLETED else None
    await process.run(batches=40)

    process.producer.refuse = lambda _topic, _value: None
    script.raising["lesson-1"] = BUG
    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-attempts") == "5"


async def test_a_bug_in_reading_one_record_takes_only_that_record(
    process: Process, log: FakeLog, verifier: FakeVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = verifier._judge

    def stumbling(token: str) -> object:
        if token == "Bearer learner:stumble":
            raise BUG
        return judge(token)

    monkeypatch.setattr(verifier, "_judge", stumbling)
    log.add(command("lesson-1"), command("lesson-2", "stumble"), command("lesson-3"))

    await process.run()

    assert process.names.count("recorded") == 2
    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-error") == "ZeroDivisionError"
    assert last_header(letter, "x-dead-letter-timestamp") == str(NOW)


class TestTheBreaker:
    async def test_twenty_deaths_in_a_row_are_buried_and_the_next_stops_everything(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        for number in range(40):
            script.raising[f"culprit-{number}"] = BUG
            log.add(command(f"culprit-{number}"))

        await process.run(batches=300)

        assert process.breaker.open
        assert process.metric("lesson_progress_breaker_open") == 1
        assert process.loop._timers == {}
        assert len(log.read(DEAD_LETTERS)) == 20
        assert log.committed.get(P0, 0) == 20

    async def test_twenty_deaths_and_a_good_record_stop_nothing(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        for number in range(20):
            script.raising[f"culprit-{number}"] = BUG
            log.add(command(f"culprit-{number}"))
        log.add(command("lesson-1"))

        await process.run()

        assert not process.breaker.open
        assert len(log.read(DEAD_LETTERS)) == 20

    async def test_deaths_scattered_among_good_records_are_no_row(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        for number in range(50):
            script.raising[f"culprit-{number}"] = BUG
            log.add(command(f"culprit-{number}"), *(command(f"lesson-{number}-{n}") for n in range(9)))

        await process.run()

        assert not process.breaker.open
        assert len(log.read(DEAD_LETTERS)) == 50
        assert log.committed == {P0: 500}

    async def test_more_than_a_tenth_of_the_last_thousand_stops_everything(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        process.batch_size = 100
        for number in range(150):
            script.raising[f"culprit-{number}"] = BUG
            log.add(command(f"culprit-{number}"), *(command(f"lesson-{number}-{n}") for n in range(4)))

        await process.run()

        assert process.breaker.open
        assert len(log.read(DEAD_LETTERS)) == 100

    async def test_poison_opens_nothing(self, process: Process, log: FakeLog) -> None:
        log.add(*(command(value=b"poison") for _ in range(300)))

        await process.run()

        assert not process.breaker.open
        assert len(log.read(DEAD_LETTERS)) == 300

    async def test_one_record_that_cannot_be_buried_is_one_death_however_often_it_is_tried(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        log.add(command("culprit"))
        script.raising["culprit"] = BUG
        log.delete(DEAD_LETTERS)
        await process.run(batches=100)
        assert not process.breaker.open

        log.create(DEAD_LETTERS)
        await process.run()

        assert len(log.read(DEAD_LETTERS)) == 1
        assert log.committed == {P0: 1}

    async def test_an_open_breaker_holds_every_partition_and_handles_nothing(
        self, process: Process, log: FakeLog, script: Script
    ) -> None:
        process.breaker.open = True
        log.add(command("lesson-1"), command("lesson-2", partition=1), command("lesson-3", value=b"poison"))

        await process.run()

        assert process.consumer.paused == {P0, TopicPartition(PROGRESS_COMMANDS, 1)}
        assert set(process.consumer.position.values()) == {0}
        assert (script.batches, log.commits, log.read(DEAD_LETTERS)) == ([], [], [])
