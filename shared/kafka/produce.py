"""Publishing what must arrive: every event and dead letter is acknowledged, or its failure is known."""

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.contracts import envelope as ce
from shared.errors import Permanent, Transient
from shared.kafka.batches import Outgoing, Producer, Shipment
from shared.kafka.deadletter import DeadLetter
from shared.kafka.records import Event
from shared.kafka.refusals import refusal_for_good


class OutputTooLarge(Permanent):
    """What follows from the record is larger than its topic allows."""


class NotPublished(Transient):
    """The broker did not acknowledge."""


class Publication(NamedTuple):
    """One message on its way out, with what caused it."""

    event: Event
    cause: ce.Cause


class Publisher:
    """Publishes through the producer itself: every message queued first, then all acknowledgements awaited."""

    def __init__(self, producer: Producer, *, service: str) -> None:
        self._producer = producer
        self._source = f"/services/{service}"

    async def publish(self, publications: Sequence[Publication]) -> list[Exception | None]:
        """Publish all and wait for every acknowledgement; answers one failure or None for each.

        Raises:
            Fatal: the broker refuses us for good; nothing of the batch may be taken for finished.
        """
        return await self._send([self._message(publication) for publication in publications])

    async def bury(self, topic: str, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """Publish dead letters and wait for every acknowledgement; answers one failure or None for each.

        Keys do not place them: nothing is promised about their order.

        Raises:
            Fatal: the broker refuses us for good.
        """
        return await self._send([Outgoing(topic, letter.key, letter.value, letter.headers) for letter in letters])

    async def _send(self, messages: Sequence[Outgoing]) -> list[Exception | None]:
        shipment = Shipment(messages)
        await shipment.send(self._producer)
        for failure in shipment.failures:
            if isinstance(failure, KafkaError) and (refusal := refusal_for_good(failure)):
                raise refusal from failure
        return [_named(failure) for failure in shipment.failures]

    def _message(self, publication: Publication) -> Outgoing:
        event = publication.event
        headers = ce.write(
            event_type=event.message.TYPE,
            event_id=event.id,
            source=self._source,
            time=event.time,
            cause=publication.cause,
        )
        return Outgoing(event.topic, event.key.encode(), event.message.to_json(), headers)


def _named(failure: BaseException | None) -> Exception | None:
    match failure:
        case MessageSizeTooLargeError():
            return OutputTooLarge()
        case KafkaError():
            return NotPublished(type(failure).__name__)
        case Exception() | None:
            return failure
        case _:
            raise failure
