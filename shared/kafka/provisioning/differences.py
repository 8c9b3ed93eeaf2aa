"""How a broker's topic differs from its card; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.topics import Topic

EXISTS, PARTITIONS, REPLICAS = "exists", "partitions", "replicas"
MIN_IN_SYNC = "min.insync.replicas"
#: What stands for a value that the broker does not tell.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between a topic and its card."""

    topic: str
    setting: str
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        """It, for people."""
        if self.setting == EXISTS:
            return f"{self.topic}: is missing"
        return f"{self.topic}: {self.setting} is {self.found}, the card says {self.expected}"

    @property
    def irreparable(self) -> str | None:
        """What to do where applying the card cannot mend it; None where it can."""
        if self.setting == PARTITIONS and int(self.found) > int(self.expected):
            return (
                f"{self.topic} has {self.found} partitions, and none can be taken away; if so many are meant, say "
                f"--partitions {self.topic}={self.found}"
            )
        if self.setting == REPLICAS:
            return (
                f"{self.topic} has {self.found} replicas of each partition instead of {self.expected}; move it with "
                "kafka-reassign-partitions.sh"
            )
        return None


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it."""

    partitions: int
    #: Replicas of each partition.
    replicas: int
    #: Every configuration's value.
    config: Mapping[str, str]
    #: Those that were set on the topic itself.
    own: Mapping[str, str]


def min_in_sync(replicas: int) -> int:
    """How many replicas must have a record before it counts: all but one, so that one broker can be away."""
    return max(1, replicas - 1)


def differences(topics: Sequence[Topic], found: Mapping[str, Found], *, replicas: int | None = None) -> Iterator[Drift]:
    """Every difference between these cards and what the broker has; `replicas` is compared where it is given."""
    for topic in topics:
        there = found.get(topic.name)
        if there is None:
            yield Drift(topic.name, EXISTS, "yes", "no")
        else:
            yield from _of_one(topic, there, replicas)


def _of_one(topic: Topic, there: Found, replicas: int | None) -> Iterator[Drift]:
    if there.partitions != topic.partitions:
        yield Drift(topic.name, PARTITIONS, str(topic.partitions), str(there.partitions))
    if replicas is not None and there.replicas != replicas:
        yield Drift(topic.name, REPLICAS, str(replicas), str(there.replicas))
    expected = topic.configuration(min_insync_replicas=min_in_sync(there.replicas))
    for setting, value in expected.items():
        if there.config.get(setting) != value:
            yield Drift(topic.name, setting, value, there.config.get(setting, UNKNOWN))
