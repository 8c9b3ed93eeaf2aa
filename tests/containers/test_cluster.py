"""Three brokers and three replicas of each service: any one of them may go, in the middle of it all."""

import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from itertools import cycle, product

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ops.offsets import GroupOffsets
from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_COMMANDS, TOPICS
from tests.support.composed import BASE, Composed, Ended, docker, project
from tests.support.eventually import eventually
from tests.support.figures import assert_exact

pytestmark = [pytest.mark.containers, pytest.mark.timeout(2400, func_only=True)]

CLUSTER = "deploy/compose/cluster.yml"
SERVICES = ("progress", "recalculator", "certificates")
REPLICAS = list(product((1, 2, 3), SERVICES))
KILL_EVERY_SECONDS = 10
#: A replay that is over before its faults proves nothing. Without waiting they take 60 s, and every replica has been
#: killed after 90 s; at this rate the replay takes 150 s at least, which leaves a minute and more to catch up.
COMMANDS_A_SECOND = 240
#: What happens to brokers: one is away for two turns, and the second goes when the first has caught up.
FAULTS = (("kill", "kafka-2"), ("start", "kafka-2"), ("kill", "kafka"), ("start", "kafka"))
AWAY_TURNS = 2
#: The broker that nothing happens to.
WITNESS = "kafka-3"


@pytest.fixture(scope="module")
def cluster(image: str) -> Iterator[Composed]:
    with project(BASE, CLUSTER) as three_of_each:
        three_of_each.up(seconds=600)
        yield three_of_each


@asynccontextmanager
async def asking(cluster: Composed) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.address(WITNESS, 19092))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def target(cluster: Composed) -> Target:
    return from_environment({"LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS": cluster.address(WITNESS, 19092)})


async def in_sync(cluster: Composed) -> bool:
    """Whether every partition is on all three brokers."""
    async with asking(cluster) as admin:
        topics = await admin.describe_topics([*TOPICS, "__consumer_offsets"])
    partitions = [partition for topic in topics for partition in topic["partitions"]]
    return bool(partitions) and all(len(partition["isr"]) == 3 for partition in partitions)


async def members(cluster: Composed, service: str) -> int:
    """How many replicas share a service's partitions."""
    async with asking(cluster) as admin:
        [response] = await admin.describe_consumer_groups([service])
    [group] = response.groups
    return len(group[5]) if group[2] == "Stable" else 0


async def test_every_record_is_on_all_brokers_and_acknowledged_by_two(cluster: Composed) -> None:
    await eventually(lambda: in_sync(cluster), within=60)

    checked = cluster.ops("topics", "diff", "--reply", "web", "--replication", "3")
    assert checked.code == 0, checked.err


async def test_replicas_share_the_partitions(cluster: Composed) -> None:
    for service in SERVICES:
        await eventually(lambda: _all_there(cluster, service), within=60)  # noqa: B023 - awaited before the next


async def test_a_replay_ends_in_the_exact_figures_while_brokers_and_replicas_are_killed(cluster: Composed) -> None:
    with _replaying(cluster) as replay:
        left = await _kill(cluster, replay)
        ended = replay.result()

    assert ended.code == 0, ended.err[-3000:]
    assert left == [], "the replay was over before its faults"
    assert_exact(json.loads(ended.out))
    await _sound(cluster)


@contextmanager
def _replaying(cluster: Composed) -> Iterator[Future[Ended]]:
    """A replay beside the block; when the block fails, it is ended."""
    name = f"{cluster.name}-replay"
    replay = ("replay", "/examples/oulad", "--stack", "external", "--copies", "1", "--seed", "2")
    options = ("--rate", str(COMMANDS_A_SECOND), "--ask-again", "--report", "/dev/stdout")
    run = ("run", "--rm", "--no-TTY", "--name", name, "ops", *replay, *options)
    with ThreadPoolExecutor(1) as beside:
        future = beside.submit(cluster.compose, *run, seconds=1500)
        try:
            yield future
        except BaseException:
            while not wait([future], timeout=1).done:  # it may not have begun
                docker("kill", name)
            raise


async def _kill(cluster: Composed, replay: Future[Ended]) -> list[tuple[str, str]]:
    """Kill a replica every ten seconds, and brokers in their turns, while the replay goes on; answers what is left."""
    await _first_commands(cluster, replay)
    left, due = list(FAULTS), 0
    for turn, (index, service) in enumerate(cycle(REPLICAS)):
        if wait([replay], timeout=KILL_EVERY_SECONDS).done:
            break
        await eventually(lambda: _killed(cluster, service, index), within=60)  # noqa: B023 - awaited before the next
        if left and turn >= due and (left[0][0] == "start" or await in_sync(cluster)):
            fault = left.pop(0)
            done = cluster.compose(*fault)
            assert done.code == 0, done.err
            due = turn + (AWAY_TURNS if fault[0] == "kill" else 1)
    return left


def _killed(cluster: Composed, service: str, index: int) -> bool:
    """End a replica without warning, unless it is still starting again."""
    # Docker restarts what ends by itself, and not what `docker kill` ended. The shell may go with all the others.
    return cluster.execute(service, "sh", "-c", "kill -9 -1", index=index).code in {0, 137}


async def _first_commands(cluster: Composed, replay: Future[Ended]) -> None:
    """Wait until the replay has imported what it needs, and sends."""
    async with GroupOffsets(target(cluster)) as offsets:

        async def sent() -> int:
            assert not replay.done(), replay.result().err[-3000:]
            return sum((await offsets.ends([PROGRESS_COMMANDS])).values())

        await eventually(sent, within=300)


async def _sound(cluster: Composed) -> None:
    """Everything came back: each container healthy, every partition on all brokers, no consumer stuck."""
    await eventually(lambda: _health(cluster) == {"healthy"}, within=120)
    assert all(c["RestartCount"] > 0 for service in SERVICES for c in cluster.containers(service))
    await eventually(lambda: in_sync(cluster), within=60)
    async with GroupOffsets(target(cluster)) as offsets:
        for service in SERVICES:
            await eventually(lambda: _all_there(cluster, service), within=60)  # noqa: B023 - awaited before the next
            await eventually(lambda: _nothing_waits(offsets, service), within=60)  # noqa: B023 - the same


async def _nothing_waits(offsets: GroupOffsets, service: str) -> bool:
    return await offsets.behind(service) == 0


async def _all_there(cluster: Composed, service: str) -> bool:
    return await members(cluster, service) == 3


def _health(cluster: Composed) -> set[str]:
    return {c["State"].get("Health", {}).get("Status", "healthy") for c in cluster.containers()}
