"""Where consumer groups stand, and where topics end."""

from collections.abc import Iterable
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.target import Target
from shared.contracts.topics import consumed_by
from shared.kafka.connection import BrokerAway, client_options, connected, disconnected


class GroupOffsets:
    """Reads committed offsets and the ends of topics; open it with `async with`."""

    def __init__(self, target: Target) -> None:
        self._servers = target.bootstrap_servers
        self._settings = target.settings.kafka
        options = client_options(self._settings)
        self._admin = AIOKafkaAdminClient(**options)
        self._consumer = AIOKafkaConsumer(**options)

    async def __aenter__(self) -> Self:
        try:
            await connected(self._admin, self._settings)
            await connected(self._consumer, self._settings)
        except BaseException as failure:  # Ctrl-C too: what was opened is closed
            await self.__aexit__()
            if isinstance(failure, BrokerAway):
                raise OperatorError("no broker answers; is the system up?") from failure
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await disconnected(self._consumer)
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
            OperatorError: the broker failed.
        """
        with broker_named(self._servers):
            return await self._behind(service)

    async def committed(self, service: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """How far this service has come with these topics: the next offset it will read, where it has read any.

        Raises:
            OperatorError: the broker failed.
        """
        with broker_named(self._servers):
            partitions = list(await self._ends(topics))
            if not partitions:
                return {}
            committed = await self._admin.list_consumer_group_offsets(service, partitions=partitions)
            return {partition: found.offset for partition, found in committed.items() if found.offset >= 0}

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
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return ends

    async def _behind(self, service: str) -> int:
        ends = {p: end for p, end in (await self._ends(consumed_by(service))).items() if end > 0}
        if not ends:
            return 0
        committed = await self._admin.list_consumer_group_offsets(service, partitions=list(ends))
        done = {p: max(0, committed[p].offset) if p in committed else 0 for p in ends}
        # No partition makes up for another: the embedded broker's ends can be too low.
        return sum(max(0, end - done[p]) for p, end in ends.items())
