"""Commits: only the finished prefix, off the critical path, coalesced, and none for another consumer's partition."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalStateError,
    KafkaError,
    RequestTimedOutError,
)
from hypothesis import given
from hypothesis import strategies as st

from services.progress.messaging import ACCEPTS
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.errors import Transient
from shared.kafka.offsets import COMMIT_INTERVAL, Offsets
from shared.kafka.records import Outcome
from tests.support.builders import command
from tests.support.eventually import eventually
from tests.support.fake_log import FakeLog
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script

P0, P1 = TopicPartition("topic", 0), TopicPartition("topic", 1)


class Committed:
    """Notes every commit and its moment; fails as often as the test says."""

    def __init__(self, *failures: Exception) -> None:
        self.commits: list[dict[TopicPartition, int]] = []
        self.moments: list[float] = []
        self.failures = list(failures)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await asyncio.sleep(0)
        self.moments.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        self.commits.append(dict(offsets))


@pytest.fixture
def offsets() -> Offsets:
    offsets = Offsets()
    offsets.assigned({P0, P1})
    return offsets


@asynccontextmanager
async def running(offsets: Offsets, committed: Committed) -> AsyncIterator[None]:
    task = asyncio.create_task(offsets.run(committed))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_finished_is_committed_at_once_in_the_background(offsets: Offsets) -> None:
    committed = Committed()
    async with running(offsets, committed):
        offsets.finish(P0, 5)
        await eventually(lambda: committed.commits)
    assert committed.commits == [{P0: 5}]


async def test_commits_are_coalesced_to_one_in_a_tenth_of_a_second(offsets: Offsets) -> None:
    assert COMMIT_INTERVAL == 0.1
    committed = Committed()
    finished = 0
    async with running(offsets, committed):
        while len(committed.commits) < 4:
            finished += 1
            offsets.finish(P0, finished)
            offsets.finish(P1, finished)
            await asyncio.sleep(0)
    gaps = [later - earlier for earlier, later in zip(committed.moments, committed.moments[1:], strict=False)]
    assert min(gaps) >= COMMIT_INTERVAL * 0.99
    assert committed.commits[-1].keys() == {P0, P1}
    assert finished > len(committed.commits)


async def test_nothing_new_is_no_commit(offsets: Offsets) -> None:
    committed = Committed()
    offsets.finish(P0, 5)
    await offsets.flush(committed)
    offsets.finish(P0, 5)
    offsets.finish(P0, 3)
    await offsets.flush(committed)
    assert committed.commits == [{P0: 5}]


async def test_a_partition_that_is_not_ours_is_never_committed(offsets: Offsets) -> None:
    committed = Committed()
    offsets.finish(P0, 5)
    offsets.finish(P1, 7)
    offsets.revoked({P0})
    offsets.finish(P0, 9)
    await offsets.flush(committed)
    assert committed.commits == [{P1: 7}]
    assert offsets.next_offset(P0) is None


async def test_a_partition_that_comes_back_may_start_earlier_than_it_ended(offsets: Offsets) -> None:
    committed = Committed()
    offsets.finish(P0, 9)
    await offsets.flush(committed)
    offsets.revoked({P0})
    offsets.assigned({P0, P1})
    offsets.finish(P0, 3)
    await offsets.flush(committed)
    assert committed.commits == [{P0: 9}, {P0: 3}]


async def test_one_partition_that_has_gone_takes_no_other_s_offsets_with_it(offsets: Offsets) -> None:
    committed = Committed(IllegalStateError("P0 is not assigned"))
    offsets.finish(P0, 5)
    offsets.finish(P1, 7)
    async with running(offsets, committed):
        await eventually(lambda: not committed.failures)
        offsets.revoked({P0})
        await eventually(lambda: committed.commits)
    assert committed.commits == [{P1: 7}]


async def test_a_refused_commit_is_not_repeated(offsets: Offsets) -> None:
    committed = Committed(CommitFailedError())
    offsets.finish(P0, 5)
    await offsets.flush(committed)
    await offsets.flush(committed)
    assert committed.commits == []

    offsets.finish(P0, 6)
    await offsets.flush(committed)
    assert committed.commits == [{P0: 6}]


@pytest.mark.parametrize(
    "trouble", [KafkaError(), RequestTimedOutError(), GroupCoordinatorNotAvailableError()], ids=repr
)
async def test_a_commit_the_coordinator_did_not_take_is_repeated_with_what_is_finished_by_then(
    offsets: Offsets, trouble: Exception
) -> None:
    committed = Committed(trouble)
    offsets.finish(P0, 5)
    offsets.finish(P1, 1)
    async with running(offsets, committed):
        await eventually(lambda: not committed.failures)
        offsets.finish(P0, 6)
        await eventually(lambda: committed.commits)
    assert committed.commits == [{P0: 6, P1: 1}]


async def test_a_failed_commit_is_not_repeated_for_a_partition_lost_meanwhile(offsets: Offsets) -> None:
    class Losing(Committed):
        async def commit(self, offsets_: Mapping[TopicPartition, int]) -> None:
            if not self.moments:
                offsets.revoked({P0})
            await super().commit(offsets_)

    committed = Losing(KafkaError())
    offsets.finish(P0, 5)
    offsets.finish(P1, 1)
    await offsets.flush(committed)
    await offsets.flush(committed)
    assert committed.commits == [{P1: 1}]


async def test_two_commits_are_never_on_their_way_at_once(offsets: Offsets) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    class Waiting(Committed):
        async def commit(self, offsets_: Mapping[TopicPartition, int]) -> None:
            self.moments.append(0)
            begun.set()
            await go.wait()
            self.commits.append(dict(offsets_))

    committed = Waiting()
    offsets.finish(P0, 1)
    first = asyncio.create_task(offsets.flush(committed))
    await begun.wait()
    offsets.finish(P0, 2)
    second = asyncio.create_task(offsets.flush(committed))
    await asyncio.sleep(0)
    assert len(committed.moments) == 1

    go.set()
    await asyncio.gather(first, second)

    assert committed.commits == [{P0: 1}, {P0: 2}]


async def test_what_is_finished_while_a_commit_fails_is_not_forgotten(offsets: Offsets) -> None:
    class Finishing(Committed):
        async def commit(self, offsets_: Mapping[TopicPartition, int]) -> None:
            if self.failures:
                offsets.finish(P0, 6)
                offsets.finish(P1, 3)
            await super().commit(offsets_)

    committed = Finishing(KafkaError())
    offsets.finish(P0, 5)
    await offsets.flush(committed)
    await offsets.flush(committed)
    assert committed.commits == [{P0: 6, P1: 3}]


async def test_draining_commits_what_the_last_batch_finished(process: Process, log: FakeLog) -> None:
    log.add(command("lesson-1"), command("lesson-2"))
    await process.batch()
    assert log.commits == []

    await process.offsets.flush(process.consumer)

    assert log.committed == {TopicPartition(PROGRESS_COMMANDS, 0): 2}


@given(
    fates=st.lists(st.sampled_from(["done", "waits"]), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 4), max_size=6),
)
async def test_exactly_the_finished_prefix_is_committed(fates: list[str], cuts: list[int]) -> None:
    log = FakeLog()
    script = Script()
    for number, fate in enumerate(fates):
        log.add(command(f"lesson-{number}"))
        if fate == "waits":
            script.outcomes[f"lesson-{number}"] = Outcome("dead_letter", failure=Transient("away"))
    process = Process(log, accepts=ACCEPTS, handler=script)
    for cut in [*cuts, 100]:
        process.batch_size = cut
        await process.batch()
    await process.offsets.flush(process.consumer)

    finished = next((n for n, fate in enumerate(fates) if fate == "waits"), len(fates))
    assert log.committed.get(TopicPartition(PROGRESS_COMMANDS, 0), 0) == min(finished, sum([*cuts, 100]))
    process.crash()
