"""What the outside makes impossible waits, for ever; what is finished meanwhile is finished once."""

import asyncio

import pytest
from aiokafka import TopicPartition

from shared.contracts.topics import LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.errors import Fatal, Transient
from shared.kafka.records import Outcome
from shared.kafka.retries import backoff
from tests.support.builders import command
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script, recorded

P0, P1 = TopicPartition(PROGRESS_COMMANDS, 0), TopicPartition(PROGRESS_COMMANDS, 1)
AWAY = Transient("away")


async def test_a_batch_that_must_wait_is_tried_again_for_ever_and_never_a_dead_letter(
    process: Process, log: FakeLog, script: Script, waits: list[int]
) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    script.raising["lesson-1"] = AWAY

    await process.run(batches=200)

    assert len(script.batches) > 90
    assert waits == list(range(1, len(waits) + 1))
    assert (log.commits, log.read("progress.deadletters"), process.names) == ([], [], [])


async def test_when_the_outside_is_back_everything_that_waited_is_handled(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    script.raising["lesson-1"] = AWAY
    await process.run(batches=20)

    script.raising.clear()
    await process.run()

    assert process.names == ["recorded", "recorded"]
    assert log.committed[P0] == 2


async def test_a_waiting_record_holds_its_own_partition_while_others_go_on(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("lesson-1"), command("lesson-2", partition=1))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)

    await process.batch()

    assert process.consumer.paused == {P0}
    assert process.consumer.position == {**process.consumer.position, P0: 0, P1: 1}
    log.add(command("lesson-3", partition=1))
    await process.batch()
    await process.offsets.flush(process.consumer)
    assert script.handled == ["lesson-1", "lesson-2", "lesson-3"]
    assert log.committed == {P1: 2}


async def test_a_waiting_partition_is_fetched_again_when_its_back_off_is_over(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("lesson-1"))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    await process.batch()
    assert await process.batch() == 0

    await process.woken()

    assert process.consumer.paused == set()
    assert await process.batch() == 1


async def test_records_after_a_waiting_one_are_finished_but_not_committed_and_not_handled_twice(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(*(command(f"lesson-{n}") for n in range(5)))
    script.outcomes["lesson-1"] = script.outcomes["lesson-3"] = Outcome("dead_letter", failure=AWAY)
    await process.run(batches=20)
    assert log.committed == {P0: 1}
    assert {lesson: script.handled.count(lesson) for lesson in ("lesson-0", "lesson-2", "lesson-4")} == dict.fromkeys(
        ("lesson-0", "lesson-2", "lesson-4"), 1
    )

    del script.outcomes["lesson-1"]
    await process.run(batches=20)
    assert log.committed == {P0: 3}

    del script.outcomes["lesson-3"]
    await process.run()
    assert log.committed == {P0: 5}
    assert script.handled.count("lesson-4") == 1
    assert len(log.read(LESSON_COMPLETED)) == 5
    assert process.loop._ahead[P0] == set()


async def test_what_came_after_the_batch_is_handled_in_its_turn(process: Process, log: FakeLog, script: Script) -> None:
    process.batch_size = 2
    log.add(*(command(f"lesson-{n}") for n in range(6)))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    await process.run(batches=20)

    del script.outcomes["lesson-1"]
    await process.run()

    assert log.committed == {P0: 6}
    assert list(dict.fromkeys(script.handled)) == [f"lesson-{n}" for n in range(6)]


async def test_while_the_keys_are_away_no_command_is_refused(
    process: Process, log: FakeLog, verifier: FakeVerifier, script: Script
) -> None:
    log.add(command("lesson-1"), command("lesson-2", value=b"poison"))
    verifier.away = True
    await process.run(batches=20)
    assert (script.batches, process.names, log.commits) == ([], [], [])

    verifier.away = False
    await process.run()

    assert process.names == ["recorded", "invalid"]


@pytest.mark.parametrize("lessons", [["lesson-1"], ["lesson-1", "lesson-2"]], ids=["alone", "in a batch"])
async def test_a_process_that_cannot_work_stops_with_nothing_committed(
    process: Process, log: FakeLog, script: Script, lessons: list[str]
) -> None:
    log.add(*map(command, lessons))
    script.raising[lessons[-1]] = Fatal("the database refuses this user")

    with pytest.raises(Fatal):
        await process.batch()

    assert script.batches == [lessons]
    await process.offsets.flush(process.consumer)
    assert log.commits == []


async def test_it_stops_too_when_that_shows_one_by_one(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("culprit"), command("lesson-1"), command("lesson-2"))
    script.raising["culprit"] = ZeroDivisionError("division by zero")
    script.raising["lesson-1"] = Fatal("the database refuses this user")

    with pytest.raises(Fatal):
        await process.batch()

    await process.offsets.flush(process.consumer)
    assert (log.commits, script.handled.count("lesson-2")) == ([], 1)


@pytest.mark.parametrize("count", [1, 2], ids=["of one", "of several"])
async def test_it_stops_too_when_that_shows_while_records_are_read(
    process: Process, log: FakeLog, verifier: FakeVerifier, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def refused(_: str) -> None:
        raise Fatal("the issuer refuses this service")

    monkeypatch.setattr(verifier, "_judge", refused)
    log.add(*(command(f"lesson-{n}") for n in range(count)))

    with pytest.raises(Fatal):
        await process.batch()

    await process.offsets.flush(process.consumer)
    assert log.commits == []


async def test_a_partition_that_went_away_while_its_record_was_handled_is_left_alone(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("lesson-1"), command("lesson-2", partition=1))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    records = process.consumer.poll()
    process.lose({P0})

    await process.loop.handle(records, process.consumer)
    await process.run()

    assert P0 not in process.consumer.position
    assert log.committed == {P1: 1}


async def test_a_late_finish_of_a_revoked_partition_is_not_committed(process: Process, log: FakeLog) -> None:
    log.add(command("lesson-1"), command("lesson-2", partition=1))
    records = process.consumer.poll()
    process.lose({P0})

    await process.loop.handle(records, process.consumer)
    await process.run()

    assert log.committed == {P1: 1}


async def test_a_partition_that_comes_back_starts_without_memories(
    process: Process, log: FakeLog, script: Script, waits: list[int]
) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    await process.run(batches=20)
    process.lose({P0})

    process.consumer.assign({P0})
    process.offsets.assigned({P0})
    waits.clear()
    await process.batch()

    assert waits == [1]
    assert script.batches[-1] == ["lesson-1", "lesson-2"]


async def test_a_partition_that_went_away_is_not_woken(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("lesson-1"))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    await process.batch()
    timer = process.loop._timers[P0]

    process.lose({P0})

    assert timer.cancelled()


async def test_a_late_batch_leaves_no_memories_for_a_partition_that_comes_back(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    script.outcomes["lesson-1"] = Outcome("dead_letter", failure=AWAY)
    records = process.consumer.poll()
    process.lose({P0})
    await process.loop.handle(records, process.consumer)

    # The topic was made anew: other records stand at the same offsets.
    log.topics[PROGRESS_COMMANDS][0].clear()
    log.add(command("lesson-3"), command("lesson-4"))
    process.consumer.assign({P0})
    process.offsets.assigned({P0})
    await process.run()

    assert process.names == ["recorded", "recorded", "recorded"]
    assert {"lesson-3", "lesson-4"} <= set(script.handled)


@pytest.mark.parametrize("attempt", [1, 2, 5, 9, 10, 1_000_000])
def test_waits_double_from_a_tenth_of_a_second_to_thirty_with_jitter(attempt: int) -> None:
    ceiling = min(30.0, 0.1 * 2 ** min(attempt - 1, 20))
    waits = {backoff(attempt) for _ in range(200)}
    assert ceiling / 2 <= min(waits) < max(waits) <= ceiling
    assert len(waits) > 100


async def test_a_batch_runs_in_the_order_write_publish_commit(process: Process, log: FakeLog, script: Script) -> None:
    log.add(command("lesson-1"))
    before: list[int] = []

    async def handler(_: object) -> list[Outcome]:
        before.append(len(log.read(LESSON_COMPLETED)))
        await asyncio.sleep(0)
        return [recorded("lesson-1")]

    process.loop._handler = handler
    await process.batch()

    assert before == [0]
    assert len(log.read(LESSON_COMPLETED)) == 1
    assert log.commits == []
    await process.offsets.flush(process.consumer)
    assert log.commits == [{P0: 1}]
