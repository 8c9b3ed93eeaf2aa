"""Where consumer groups stand, and where topics end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.target import Target
from shared.contracts.topics import consumed_by
from shared.kafka.connection import BrokerAway, client_options, connected, disconnected

#: The place of a group's members in the answer of the library's admin client.
_MEMBERS = 5


async def committed_offsets(
    admin: AIOKafkaAdminClient, service: str, partitions: Sequence[TopicPartition], *, leaves_out: bool
) -> Mapping[TopicPartition, int]:
    """What a service's group has committed of these partitions, where it has committed anything.

    `leaves_out`: the broker says nothing of a partition that was never committed, as the embedded one does.

    Raises:
        OperatorError: the broker does not say.
    """
    if not partitions:
        return {}
    told = await admin.list_consumer_group_offsets(service, partitions=list(partitions))
    if not leaves_out and not told.keys() >= set(partitions):
        # The library passes over a group's own error and gives what came with it, which is nothing: taken for "nothing
        # is committed", everything would be unfinished.
        raise OperatorError(
            f"the broker does not say how far {service} has come: its coordinator is starting, or the right to "
            "describe the group is wanting (`lesson-progress topics rights`); run the command again"
        )
    return {partition: found.offset for partition, found in told.items() if found.offset >= 0}


class GroupOffsets:
    """Reads committed offsets, members of groups, and the ends of topics; open it with `async with`."""

    def __init__(self, target: Target, *, group: str | None = None) -> None:
        """`group` is whose offsets `consumer` may move; it subscribes to nothing, and so joins nobody."""
        self._target = target
        self._servers = target.bootstrap_servers
        self._settings = target.settings.kafka
        self._leaves_out = not self._settings.require_log_append_time
        options = client_options(self._settings)
        self._admin = AIOKafkaAdminClient(**options)
        self.consumer = AIOKafkaConsumer(**options, group_id=group, enable_auto_commit=False)

    @property
    def loose_ends(self) -> bool:
        """The embedded broker may say that a partition ends before it does."""
        return self._leaves_out

    async def __aenter__(self) -> Self:
        try:
            await connected(self._admin, self._settings)
            await connected(self.consumer, self._settings)
        except BaseException as failure:  # Ctrl-C too: what was opened is closed
            await self.__aexit__()
            if isinstance(failure, BrokerAway):
                raise OperatorError(self._target.broker_away()) from failure
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await disconnected(self.consumer)
        await self._admin.close()

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The next offset of every partition of these topics; topics that do not exist have none.

        Raises:
            OperatorError: the broker failed.
        """
        with broker_named(self._servers):
            return await self._ends(topics)

    async def behind(self, service: str) -> int:
        """How many records this service has still to finish and commit.

        Raises:
            OperatorError: the broker failed, or does not say, or a topic lost what the service has committed.
        """
        return sum((await self.behind_in(service)).values())

    async def behind_in(self, service: str) -> Mapping[str, int]:
        """The same, by topic; a topic that does not exist is left out.

        Raises:
            OperatorError: as `behind`.
        """
        with broker_named(self._servers):
            return await self._behind_in(service)

    async def committed(self, service: str, topics: Iterable[str]) -> Mapping[TopicPartition, int]:
        """How far this service has come with these topics: the next offset it will read, where it has read any.

        Raises:
            OperatorError: the broker failed, or does not say.
        """
        with broker_named(self._servers):
            return await self._committed(service, list(await self._ends(topics)))

    async def members(self, service: str) -> int:
        """How many replicas of this service are in its group; one that was killed counts until its session is over.

        Raises:
            OperatorError: the broker failed, or does not say.
        """
        with broker_named(self._servers):
            [response] = await self._admin.describe_consumer_groups([service])
            [group] = response.groups
            if error := group[0]:
                raise for_code(error)
            return len(group[_MEMBERS])

    async def _ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        existing = set(await self._admin.list_topics())
        described = await self._admin.describe_topics([t for t in topics if t in existing])
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        if not partitions:
            return {}
        ends: dict[TopicPartition, int] = await self.consumer.end_offsets(partitions)
        return ends

    async def _behind_in(self, service: str) -> Mapping[str, int]:
        ends = await self._ends(consumed_by(service))
        done = await self._committed(service, list(ends))
        if not self.loose_ends:
            await self._refuse_beyond(service, done, ends)
        # No partition makes up for another: the embedded broker's ends can be too low.
        behind = dict.fromkeys((p.topic for p in ends), 0)
        for partition, end in ends.items():
            behind[partition.topic] += max(0, end - done.get(partition, 0))
        return behind

    async def _refuse_beyond(
        self, service: str, done: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Nobody is "0 behind" who stands beyond an end: what is written up to there will be passed over."""
        if not (beyond := [p for p, offset in done.items() if offset > ends[p]]):
            return
        now = await self.consumer.end_offsets(beyond)  # what was written meanwhile is committed already
        for partition in beyond:
            if done[partition] > now[partition]:
                raise OperatorError(
                    f"{service} has committed {done[partition]} in {partition.topic}, partition {partition.partition}, "
                    f"which ends at {now[partition]}: the topic lost records; stop the services, and "
                    f"`lesson-progress rewind {service} --events --yes` before anything more is written to it"
                )

    async def _committed(self, service: str, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return await committed_offsets(self._admin, service, partitions, leaves_out=self._leaves_out)
