"""Reading the certificates that were issued ends, whatever the broker does."""

from itertools import count

import pytest
from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.restoring import _until

ISSUED = TopicPartition("certificate.issued", 0)


class Broker:
    """Brings some records, and then nothing more."""

    def __init__(self, records: int) -> None:
        self._left = records
        self._position = 0

    async def getmany(self, *_: TopicPartition, **__: int) -> dict[TopicPartition, list[str]]:
        if not self._left:
            return {}
        self._left -= 1
        self._position += 1
        return {ISSUED: [f"record {self._position}"]}

    async def position(self, _: TopicPartition) -> int:
        return self._position


async def _read(broker: Broker, *, end: int) -> list[str]:
    seconds = count(step=10)
    batches = _until(broker, [ISSUED], {ISSUED: end}, "broker:9092", monotonic=lambda: float(next(seconds)))
    return [record async for records in batches for record in records]


async def test_a_partition_is_read_to_its_end() -> None:
    assert await _read(Broker(3), end=3) == ["record 1", "record 2", "record 3"]


@pytest.mark.timeout(10)
async def test_a_broker_that_falls_silent_is_not_waited_for_without_end() -> None:
    with pytest.raises(OperatorError, match="broker:9092 stopped answering; see that it is up, and try again"):
        await _read(Broker(1), end=3)
