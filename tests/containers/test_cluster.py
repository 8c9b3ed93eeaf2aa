"""Three brokers and three replicas of each service: any one of them may go, in the middle of it all."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import cycle, product

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.composed import BASE, Composed, Ended, free_ports, project
from tests.support.eventually import eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

CLUSTER = "deploy/compose/cluster.yml"

REPLICAS = list(product((1, 2, 3), ("progress", "recalculator", "certificates")))
KILL_EVERY_SECONDS = 10
#: A replay that would be over before its faults proves nothing: so it takes two minutes at least.
COMMANDS_A_SECOND = 300
#: In which turn which broker goes, and in which it comes back.
KILLED = {2: "kafka-2", 6: "kafka"}
BACK = {4: "kafka-2", 8: "kafka"}


@pytest.fixture(scope="module")
def cluster(image: str) -> Iterator[Composed]:
    second, third = free_ports(2)
    ports = {"KAFKA_2_PORT": str(second), "KAFKA_3_PORT": str(third)}
    with project(BASE, CLUSTER, environment=ports) as three_of_each:
        three_of_each.up(seconds=600)
        yield three_of_each


def kafka_tool(cluster: Composed, broker: str, *command: str) -> str:
    ended = cluster.execute(
        broker, f"/opt/kafka/bin/{command[0]}", "--bootstrap-server", f"{broker}:9092", *command[1:]
    )
    assert ended.code == 0, ended.err
    return ended.out


def lagging(cluster: Composed, broker: str) -> str:
    """The partitions that are not on all the brokers they belong to."""
    return kafka_tool(cluster, broker, "kafka-topics.sh", "--describe", "--under-replicated-partitions").strip()


def behind(cluster: Composed, service: str) -> list[str]:
    """The partitions of a service's group that have something to handle, or nobody to handle it."""
    lines = kafka_tool(cluster, "kafka-3", "kafka-consumer-groups.sh", "--describe", "--group", service).splitlines()
    rows = [line.split() for line in lines if line.startswith(f"{service} ")]
    assert rows, lines
    # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID …; a partition without records has no offset.
    return [
        " ".join(row) for row in rows if row[5] not in {"0", "-"} or row[6] == "-" or (row[5] == "-" and row[4] != "0")
    ]


def test_every_record_is_on_all_brokers_and_acknowledged_by_two(cluster: Composed) -> None:
    topics = kafka_tool(cluster, "kafka", "kafka-topics.sh", "--describe").splitlines()

    heads = [line for line in topics if "ReplicationFactor" in line]
    assert len(heads) > 16
    assert all("ReplicationFactor: 3" in head and "min.insync.replicas=2" in head for head in heads), heads


def test_replicas_share_the_partitions(cluster: Composed) -> None:
    for service in ("progress", "recalculator", "certificates"):
        members = kafka_tool(
            cluster, "kafka-2", "kafka-consumer-groups.sh", "--describe", "--group", service, "--members"
        )

        assert len([line for line in members.splitlines() if line.startswith(f"{service} ")]) == 3


async def test_a_replay_ends_in_the_exact_figures_while_brokers_and_replicas_are_killed(cluster: Composed) -> None:
    with ThreadPoolExecutor(1) as beside:
        replay = ("replay", "/examples/oulad", "--stack", "external", "--copies", "1", "--seed", "2")
        options = ("--rate", str(COMMANDS_A_SECOND), "--report", "/dev/stdout")
        replaying = beside.submit(cluster.ops, *replay, *options, seconds=1500)
        turns = await _kill(cluster, replaying)
        ended = replaying.result()

    assert ended.code == 0, ended.err[-3000:]
    assert turns > max(BACK), "the replay was over before its faults"
    found = json.loads(ended.out)
    assert (found["completions"], found["certificates"]) == (36_184, 10_322)
    assert (found["distinct_certificate_ids"], found["readable_pdfs"]) == (10_322, 10_322)
    assert (found["partial"], found["zero"]) == (1_508, 659)
    assert (found["drift"], found["dead_letters"], found["problems"]) == (0, 0, [])
    assert (found["commands"], found["answered"]) == (36_184, 36_184)
    await _sound(cluster)


async def _kill(cluster: Composed, replaying: Future[Ended]) -> int:
    """Kill a replica every ten seconds, and in their turns two brokers, as long as the replay goes on; counts them."""
    await _first_commands(cluster)
    turns = 0
    for index, service in cycle(REPLICAS):
        if wait([replaying], timeout=KILL_EVERY_SECONDS).done:
            break
        turns += 1
        # Docker restarts what ends by itself, and not what `docker kill` ended.
        cluster.execute(service, "sh", "-c", "kill -9 -1", index=index)
        if turns in KILLED:
            assert cluster.compose("kill", KILLED[turns]).code == 0
        if turns in BACK:
            assert cluster.compose("start", BACK[turns]).code == 0
            await eventually(lambda: lagging(cluster, "kafka-3") == "", within=120)
    return turns


async def _first_commands(cluster: Composed) -> None:
    """Wait until the replay has imported what it needs, and sends."""
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.address("kafka", 19092))
    await consumer.start()
    try:
        partitions = [TopicPartition("progress.commands", number) for number in range(6)]

        async def sent() -> int:
            return sum((await consumer.end_offsets(partitions)).values())

        await eventually(sent, within=300)
    finally:
        await consumer.stop()


async def _sound(cluster: Composed) -> None:
    """Everything came back: each container healthy, no partition lagging, no consumer stuck."""
    await eventually(lambda: _health(cluster) == {"healthy"}, within=120)
    assert all(c["RestartCount"] > 0 for c in cluster.containers("progress"))
    await eventually(lambda: lagging(cluster, "kafka") == "", within=60)
    for service in ("progress", "recalculator", "certificates"):
        await eventually(lambda: behind(cluster, service) == [], within=120)  # noqa: B023 - awaited before the next


def _health(cluster: Composed) -> set[str]:
    return {c["State"].get("Health", {}).get("Status", "healthy") for c in cluster.containers()}
