"""Three brokers and three replicas of each service: any one of them may go, in the middle of it all."""

import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from itertools import cycle, product

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ops.offsets import GroupOffsets
from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_COMMANDS, TOPICS
from tests.support.composed import BASE, Composed, Ended, free_ports, project
from tests.support.eventually import eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

CLUSTER = "deploy/compose/cluster.yml"
SERVICES = ("progress", "recalculator", "certificates")
REPLICAS = list(product((1, 2, 3), SERVICES))
KILL_EVERY_SECONDS = 10
#: A replay that is over before its faults proves nothing: so it takes two minutes at least.
COMMANDS_A_SECOND = 300
#: What happens to brokers, one thing every other turn; the second goes when the first has caught up.
FAULTS = (("kill", "kafka-2"), ("start", "kafka-2"), ("kill", "kafka"), ("start", "kafka"))
#: The broker that nothing happens to.
WITNESS = "kafka-3"


@pytest.fixture(scope="module")
def cluster(image: str) -> Iterator[Composed]:
    second, third = free_ports(2)
    ports = {"KAFKA_2_PORT": str(second), "KAFKA_3_PORT": str(third)}
    with project(BASE, CLUSTER, environment=ports) as three_of_each:
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
        assert await members(cluster, service) == 3


async def test_a_replay_ends_in_the_exact_figures_while_brokers_and_replicas_are_killed(cluster: Composed) -> None:
    with ThreadPoolExecutor(1) as beside:
        replay = ("replay", "/examples/oulad", "--stack", "external", "--copies", "1", "--seed", "2")
        options = ("--rate", str(COMMANDS_A_SECOND), "--report", "/dev/stdout")
        replaying = beside.submit(cluster.ops, *replay, *options, seconds=1500)
        left = await _kill(cluster, replaying)
        ended = replaying.result()

    assert ended.code == 0, ended.err[-3000:]
    assert left == [], "the replay was over before its faults"
    found = json.loads(ended.out)
    assert (found["completions"], found["certificates"]) == (36_184, 10_322)
    assert (found["distinct_certificate_ids"], found["readable_pdfs"]) == (10_322, 10_322)
    assert (found["partial"], found["zero"]) == (1_508, 659)
    assert (found["drift"], found["dead_letters"], found["problems"]) == (0, 0, [])
    assert (found["commands"], found["answered"]) == (36_184, 36_184)
    await _sound(cluster)


async def _kill(cluster: Composed, replaying: Future[Ended]) -> list[tuple[str, str]]:
    """Kill a replica every ten seconds, and brokers in their turns, while the replay goes on; answers what is left."""
    await _first_commands(cluster)
    left = list(FAULTS)
    for turn, (index, service) in enumerate(cycle(REPLICAS)):
        if wait([replaying], timeout=KILL_EVERY_SECONDS).done:
            break
        # Docker restarts what ends by itself, and not what `docker kill` ended.
        cluster.execute(service, "sh", "-c", "kill -9 -1", index=index)
        if turn % 2 and left and (left[0][0] == "start" or await in_sync(cluster)):
            assert cluster.compose(*left.pop(0)).code == 0
    return left


async def _first_commands(cluster: Composed) -> None:
    """Wait until the replay has imported what it needs, and sends."""
    async with GroupOffsets(target(cluster)) as offsets:

        async def sent() -> int:
            return sum((await offsets.ends([PROGRESS_COMMANDS])).values())

        await eventually(sent, within=300)


async def _sound(cluster: Composed) -> None:
    """Everything came back: each container healthy, every partition on all brokers, no consumer stuck."""
    await eventually(lambda: _health(cluster) == {"healthy"}, within=120)
    assert all(c["RestartCount"] > 0 for service in SERVICES for c in cluster.containers(service))
    await eventually(lambda: in_sync(cluster), within=60)
    async with GroupOffsets(target(cluster)) as offsets:
        for service in SERVICES:
            assert await offsets.behind(service) == 0
            await eventually(lambda: _all_there(cluster, service), within=60)  # noqa: B023 - awaited before the next


async def _all_there(cluster: Composed, service: str) -> bool:
    return await members(cluster, service) == 3


def _health(cluster: Composed) -> set[str]:
    return {c["State"].get("Health", {}).get("Status", "healthy") for c in cluster.containers()}
