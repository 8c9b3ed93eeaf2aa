"""Many commands of a made-up school, sent in whole batches: a million of them in a minute or two."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from ops.conversation import command_headers
from ops.platform.documents import Platform
from shared.contracts.gateways import LessonComplete
from shared.contracts.topics import PROGRESS_COMMANDS, TOPICS
from shared.kafka.batches import Outgoing, Shipment
from tests.bench.school import course_id, lesson_ids, school
from tests.bench.sending import Gateway

LESSONS = 200
_TOGETHER = 250
_AT_ONCE = 5_000


class Command(NamedTuple):
    """One completion to come."""

    user: str
    lesson: str


class Pupils:
    """Learners of one course of 200 lessons, whose commands share all partitions but one."""

    def __init__(self, commands: int) -> None:
        self.course = course_id(LESSONS)
        self.lessons = lesson_ids(self.course, LESSONS)
        self.quiet = TOPICS[PROGRESS_COMMANDS].partitions - 1
        names = (f"learner-{n:06}" for n in itertools.count())
        self.users = list(itertools.islice((n for n in names if _partition(n) != self.quiet), -(-commands // LESSONS)))
        #: Those who alone have the partition that the others leave.
        self.others = list(itertools.islice((n for n in names if _partition(n) == self.quiet), 20))

    def platform(self) -> Platform:
        """What the course platform knows of them."""
        return school([(self.course, LESSONS)], [*self.users, *self.others])

    def commands(self) -> Iterator[Command]:
        """All lessons of all users; some hundred learners at a time, so that courses are finished all along."""
        for start in range(0, len(self.users), _TOGETHER):
            for lesson in self.lessons:
                for user in self.users[start : start + _TOGETHER]:
                    yield Command(user, lesson)


def _partition(user: str) -> int:
    return int(murmur2(user.encode())) % 2**31 % TOPICS[PROGRESS_COMMANDS].partitions


def outgoing(gateway: Gateway, command: Command, command_id: str, *, reply_to: str | None) -> Outgoing:
    """The record of one command."""
    headers = command_headers(LessonComplete, gateway.token(command.user), command_id=command_id, reply_to=reply_to)
    value = LessonComplete(lesson_id=command.lesson).to_json()
    return Outgoing(PROGRESS_COMMANDS, command.user.encode(), value, headers)


async def send(producer: AIOKafkaProducer, messages: Iterable[Outgoing]) -> int:
    """Send these, batch by batch, and wait for every acknowledgement; answers how many there were.

    Raises:
        BaseException: what became of the first that was not acknowledged.
    """
    sent, rest = 0, iter(messages)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        await _ship(producer, some)
        sent += len(some)
    return sent


async def _ship(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> None:
    shipment = Shipment(messages)
    await shipment.send(producer)
    if failure := next((f for f in shipment.failures if f is not None), None):
        raise failure
