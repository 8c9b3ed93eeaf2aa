"""Every crash point: stopped or frozen before and after each effect, then started anew, nothing is lost or doubled.

Source: reliability, "How it is proved", 1; faults 1 to 5, 8, 9, 24.
"""

from collections.abc import Iterator

import pytest

from tests.support.builders import command, record
from tests.support.issuer import NOW
from tests.support.world import DEAD_LETTER, RECORD, REJECTION, World

WEB = ("reply-to", b"progress.replies.web")
PRODUCERS_TIME = 0


def mixed() -> World:
    """Good, repeated, rejected and poisoned commands, on two partitions."""
    world = World(learners=("learner-1", "learner-2"))
    world.write(command("lesson-1", timestamp=NOW + 1, headers=[WEB]), RECORD)
    world.write(command("lesson-1", timestamp=NOW + 2, headers=[WEB]), RECORD)
    world.write(command("lesson-1", partition=1, timestamp=NOW + 3), RECORD)
    world.write(command("preview-1", headers=[WEB]), REJECTION)
    world.write(command(value=b"poison", key=None, headers=[WEB]), DEAD_LETTER)
    world.write(command("lesson-2", timestamp_type=PRODUCERS_TIME), RECORD)
    world.write(record(headers=[("weird", None), ("ce_id", b"\xff")], value=None, partition=1), DEAD_LETTER)
    world.write(command("lesson-2", "learner-2", partition=1, timestamp_type=PRODUCERS_TIME), RECORD)
    world.write(command("lesson-1", "stranger", partition=1, headers=[WEB]), REJECTION)
    world.write(command("lesson-3", authorization=b"Bearer forged", partition=1), REJECTION)
    world.write(command("lesson-2", topic="progress.replays"), RECORD)
    return world


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("shared.kafka.consume.backoff", lambda _: 0.0)
    return iter(())


async def steps_of_a_whole_run(batch_size: int) -> list[str]:
    world = mixed()
    with world.observed():
        await world.process(batch_size=batch_size).run()
        world.check()
    return world.steps.names


async def test_the_steps_are_the_ones_to_be_feared() -> None:
    names = await steps_of_a_whole_run(1000)
    assert len(names) >= 16
    assert {
        "before lessons",
        "before enrollments",
        "before record",
        "after a write",
        "before a message to lesson.completed",
        "after a message to lesson.completed",
        "before a message to progress.deadletters",
        "after a message to progress.deadletters",
        "before a message to progress.replies.web",
        "after a message to progress.replies.web",
        "before the commit",
        "after the commit",
    } <= set(names)


@pytest.mark.parametrize("batch_size", [1000, 3], ids=lambda size: f"{size} at once")
async def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(batch_size: int) -> None:
    for step, name in enumerate(await steps_of_a_whole_run(batch_size)):
        world = mixed()
        with world.observed():
            crashed = await world.run_until(world.process(batch_size=batch_size), step)
            world.clock.move(1000)

            await world.process(batch_size=batch_size).run()

            assert crashed, f"step {step}, {name}, was not reached"
            world.check()


@pytest.mark.parametrize("batch_size", [1000, 3], ids=lambda size: f"{size} at once")
async def test_a_process_frozen_at_any_step_and_thawed_after_another_took_over_harms_nothing(batch_size: int) -> None:
    for step, _ in enumerate(await steps_of_a_whole_run(batch_size)):
        world = mixed()
        with world.observed():
            zombie = world.process(batch_size=batch_size)
            main, thawed = await world.run_frozen(zombie, step)
            world.clock.move(60_000)
            await world.process(batch_size=batch_size).run()
            committed = dict(world.log.committed)

            thawed.set()
            await main

            assert world.log.committed == committed
            world.check()


async def test_a_second_crash_while_the_first_is_repaired_harms_nothing() -> None:
    total = len(await steps_of_a_whole_run(3))
    for step in range(0, total, 11):
        for second in range(0, total, 9):
            world = mixed()
            with world.observed():
                await world.run_until(world.process(batch_size=3), step)
                await world.run_until(world.process(batch_size=3), len(world.steps.names) + second)
                await world.process(batch_size=3).run()
                world.check()


async def test_handling_everything_again_has_no_new_effect() -> None:
    world = mixed()
    with world.observed():
        await world.process().run()
        facts = dict(world.store.facts)
        world.log.committed.clear()

        await world.process().run()

        assert world.store.facts == facts
        world.check()


async def test_a_command_a_thousand_times_on_every_partition_is_one_record() -> None:
    world = World(partitions=6)
    for number in range(1000):
        world.write(command("lesson-1", partition=number % 6, timestamp=NOW + number), RECORD)
    with world.observed():
        await world.process(batch_size=70).run()
        world.check()
    assert len(world.store.facts) == 1
