"""How a broker's topics differ from their cards; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.topics import Topic

EXISTS, PARTITIONS, REPLICAS = "exists", "partitions", "replicas"
#: What stands for a value that the broker does not tell.
UNKNOWN = "unknown"
#: Replicas of each partition, where there are brokers enough: one can be away and one more lost.
_REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between a topic and its card."""

    topic: str
    setting: str
    expected: str
    found: str
    #: It is more than the card asks for, and stays.
    kept: bool = False

    @property
    def sentence(self) -> str:
        """It, for people."""
        if self.setting == EXISTS:
            return f"{self.topic}: is missing"
        if self.kept:
            return (
                f"{self.topic}: {self.setting} is {self.found}, more than the {self.expected} of the card; it stays so"
            )
        return f"{self.topic}: {self.setting} is {self.found}, the card says {self.expected}"

    @property
    def irreparable(self) -> str | None:
        """What to do where applying the card cannot mend it; None where it can, or where nothing is to be mended."""
        if self.kept:
            return None
        if self.setting == PARTITIONS and int(self.found) > int(self.expected):
            return (
                f"{self.topic} has {self.found} partitions, and none can be taken away: ask for {self.found} at least"
            )
        if self.setting == REPLICAS:
            return (
                f"{self.topic} has {self.found} replicas of each partition instead of {self.expected}: move it with "
                f"kafka-reassign-partitions.sh, or say --replication {self.found} if so many are meant"
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for beside the cards."""

    #: Replicas of each partition; None: as many as is usual there.
    replicas: int | None = None
    #: Topics whose number of partitions was given: it is meant exactly, and not as the least.
    partitions: frozenset[str] = frozenset()


#: Nothing but the cards.
BY_THE_CARDS = Asked()


def usual_replicas(found: Mapping[str, Found], brokers: int) -> int:
    """Replicas of each partition where none were asked for: those of our topics, and three where there are brokers."""
    # A broker that is away for a moment makes no topic of fewer replicas.
    return max([min(brokers, _REPLICAS), *(topic.replicas for topic in found.values())])


def min_in_sync(replicas: int) -> int:
    """How many replicas must have a record before it counts: all but one, so that one broker can be away."""
    return max(1, replicas - 1)


def differences(
    topics: Sequence[Topic], found: Mapping[str, Found], *, asked: Asked = BY_THE_CARDS, brokers: int = 1
) -> Iterator[Drift]:
    """Every difference between these cards, what was asked for, and what so many brokers have."""
    for topic in topics:
        there = found.get(topic.name)
        if there is None:
            yield Drift(topic.name, EXISTS, "yes", "no")
            continue
        yield from _counts(topic, there, asked, usual_replicas(found, brokers))
        expected = topic.configuration(min_insync_replicas=min_in_sync(there.replicas))
        for setting, value in expected.items():
            if there.config.get(setting) != value:
                yield Drift(topic.name, setting, value, there.config.get(setting, UNKNOWN))


def _counts(topic: Topic, there: Found, asked: Asked, usual: int) -> Iterator[Drift]:
    if there.partitions != topic.partitions:
        kept = there.partitions > topic.partitions and topic.name not in asked.partitions
        yield Drift(topic.name, PARTITIONS, str(topic.partitions), str(there.partitions), kept=kept)
    if asked.replicas is not None and there.replicas != asked.replicas:
        yield Drift(topic.name, REPLICAS, str(asked.replicas), str(there.replicas))
    if asked.replicas is None and there.replicas < usual:
        yield Drift(topic.name, REPLICAS, str(usual), str(there.replicas))
