"""Where a key goes, and what a producer waits for."""

from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from shared.kafka import assembly
from shared.kafka.batches import Outgoing, Shipment, _partition
from shared.settings import KafkaSettings
from tests.support.fake_clients import FakeProducer
from tests.support.fake_log import FakeLog

#: Keys and their hashes, as Kafka's own client has them among its tests (UtilsTest.testMurmur2).
HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
PARTITIONS = range(6)


@pytest.mark.parametrize("key", HASHES, ids=bytes.decode)
def test_a_key_goes_where_every_client_of_kafka_puts_it(key: bytes) -> None:
    assert _partition(key, PARTITIONS) == (HASHES[key] & 0x7FFFFFFF) % 6


def test_a_key_too_large_to_be_remembered_goes_there_too() -> None:
    large = b"k" * 2_000
    assert _partition(large, PARTITIONS) == _partition(bytes(large), PARTITIONS)
    assert {_partition(large + bytes([n]), PARTITIONS) for n in range(100)} == set(PARTITIONS)


def test_what_has_no_key_is_spread() -> None:
    assert {_partition(None, PARTITIONS) for _ in range(1_000)} == set(PARTITIONS)


def test_a_message_of_which_nothing_was_heard_counts_as_not_published() -> None:
    [failure] = Shipment([Outgoing("lesson.completed", b"key", b"{}", [])]).failures
    assert isinstance(failure, KafkaTimeoutError)


async def test_what_the_client_refuses_to_queue_is_not_published_and_the_rest_is() -> None:
    class Refusing(FakeProducer):
        """Takes nothing for one topic."""

        async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
            if topic == "course.completed":
                raise KafkaTimeoutError
            return await super().send_batch(batch, topic, partition=partition)

    topics = ("lesson.completed", "course.completed", "lesson.completed")
    shipment = Shipment([Outgoing(topic, b"key", b"{}", []) for topic in topics])

    await shipment.send(Refusing(FakeLog()))

    first, refused, last = shipment.failures
    assert (first, last) == (None, None)
    assert isinstance(refused, KafkaTimeoutError)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library's producer is asked to be."""
    monkeypatch.setattr(assembly, "AIOKafkaProducer", lambda **options: options)
    options: Any = assembly.make_producer(KafkaSettings(), client_id="test")
    return dict(options)


def test_an_acknowledgement_means_that_every_replica_in_step_has_the_message(asked: dict[str, Any]) -> None:
    assert asked["acks"] == "all"


def test_trouble_of_the_broker_stops_no_producer_for_good(asked: dict[str, Any]) -> None:
    assert asked["enable_idempotence"] is False
    assert "transactional_id" not in asked
