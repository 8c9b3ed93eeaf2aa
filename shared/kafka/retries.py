"""How often and how soon a record is tried again, and when a service stops trying at all."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from aiokafka import TopicPartition

from shared.clock import Clock

#: An unknown error is a bug: tried this often, then a dead letter.
UNKNOWN_ATTEMPTS = 5

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 30.0
_DEATHS_IN_A_ROW = 20
_WINDOW = 1000
_DEATHS_IN_WINDOW = _WINDOW // 10


def backoff(attempt: int) -> float:
    """Seconds to wait before the next try after failed try number `attempt`: doubling, capped, jittered."""
    ceiling = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt - 1, 16))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


@dataclass(slots=True)
class Attempts:
    """How often one record failed so far, and since when (epoch milliseconds)."""

    first_failed_at: int
    #: Tries that ended in an error of its own; these are limited.
    count: int = 0
    #: Tries that the outside made impossible; these are not.
    stalls: int = 0


class Retries:
    """The failed tries of records that are still to be finished, by position."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._attempts: dict[tuple[TopicPartition, int], Attempts] = {}

    def __bool__(self) -> bool:
        return bool(self._attempts)

    def failed(self, partition: TopicPartition, offset: int) -> Attempts:
        """Count one more failed try of this record."""
        attempts = self._noted(partition, offset)
        attempts.count += 1
        return attempts

    def stalled(self, partition: TopicPartition, offset: int) -> Attempts:
        """Count one more try of this record that the outside made impossible."""
        attempts = self._noted(partition, offset)
        attempts.stalls += 1
        return attempts

    def _noted(self, partition: TopicPartition, offset: int) -> Attempts:
        return self._attempts.setdefault((partition, offset), Attempts(self._clock()))

    def of(self, partition: TopicPartition, offset: int) -> Attempts:
        """The failed tries of this record so far."""
        return self._attempts.get((partition, offset)) or Attempts(self._clock())

    def settled(self, partition: TopicPartition, offset: int) -> None:
        """This record needs no more tries."""
        self._attempts.pop((partition, offset), None)

    def forget(self, partitions: set[TopicPartition]) -> None:
        """These partitions are another consumer's now."""
        self._attempts = {k: v for k, v in self._attempts.items() if k[0] not in partitions}


class Breaker:
    """Opens when records die of unknown causes in numbers: a bad deploy must not drain a topic into dead letters.

    More than 20 in a row, or more than 10 % of a partition's last 1,000. Only a restart closes it. What stands in a
    row is judged by the log, not by the moment of death: tried records die rounds after their neighbours are finished.
    """

    def __init__(self) -> None:
        self.open = False
        self._fates: dict[TopicPartition, dict[int, bool]] = {}

    def finished(self, partition: TopicPartition, offset: int, *, died: bool) -> None:
        """Note one finished record, and whether it died of an unknown cause; noting it again changes nothing."""
        fates = self._fates.setdefault(partition, {})
        fates[offset] = died
        if len(fates) > _WINDOW:
            del fates[next(iter(fates))]
        if died and (sum(fates.values()) > _DEATHS_IN_WINDOW or _row(fates, offset) > _DEATHS_IN_A_ROW):
            self.open = True


def _row(fates: Mapping[int, bool], offset: int) -> int:
    """How many died side by side around this one, itself included."""
    before = takewhile(fates.__getitem__, sorted((o for o in fates if o < offset), reverse=True))
    after = takewhile(fates.__getitem__, sorted(o for o in fates if o > offset))
    return 1 + sum(1 for _ in before) + sum(1 for _ in after)
