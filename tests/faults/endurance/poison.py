"""Bad records among good ones: each ends as one dead letter, and the good ones take hardly longer."""

import argparse
import random
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka import TopicPartition

from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES, SERVICES, dead_letters_of
from shared.kafka.batches import Outgoing
from tests.bench.figures import Bar, Figure, ratio
from tests.bench.plan import Finding
from tests.bench.sending import Gateway
from tests.faults.endurance.commands import Pupils, outgoing
from tests.faults.endurance.draining import Drain, drain, school_alone
from tests.faults.endurance.trial import Trial

_LETTERS = dead_letters_of(SERVICES[0])
_MANY_HEADERS = 200
_BAR = Bar("less than", 1.2)
_HOW = (
    "the same good commands in the topic before progress starts, alone and with bad records spread among them; from "
    "the moment progress has its partitions to its last commit; fresh broker and database each run; pairs, first one "
    "then the other; with / without"
)


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--good", type=int, default=100_000, metavar="N", help="good commands (default: 100000)")
    parser.add_argument("--bad", type=int, default=10_000, metavar="N", help="bad records among them (default: 10000)")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="runs of each side (default: 3)")


async def run(trial: Trial) -> Finding:
    """Drain a backlog with and without bad records in it."""
    drains: dict[str, list[Drain]] = {"without": [], "with": []}
    problems: list[str] = []
    pupils = Pupils(trial.asked.good)
    with TemporaryDirectory(prefix="lesson-progress-endurance-") as directory:
        gateway = Gateway(Path(directory))
        for pair in range(trial.asked.pairs):
            for side in sorted(drains, reverse=pair % 2 == 0):
                bad = trial.asked.bad if side == "with" else 0
                async with school_alone(gateway, pupils) as stack:
                    drains[side].append(await drain(stack, records(gateway, pupils, bad, random.Random(trial.seed))))  # noqa: S311 - an order, no secret
                    target = from_environment(stack.environment)
                    problems += [f"{side}: {p}" for p in await _wrong(target, pupils, bad)]
                trial.tell(f"{side} bad records: {drains[side][-1].seconds:.1f} s")
    return Finding(_figures(drains), [{"side": s, **asdict(d)} for s, of in drains.items() for d in of], problems)


def _figures(drains: Mapping[str, Sequence[Drain]]) -> list[Figure]:
    seconds = {side: [d.seconds for d in of] for side, of in drains.items()}
    processor = {side: [d.processor for d in of] for side, of in drains.items()}
    return [
        ratio("time, with bad records / without", seconds["with"], seconds["without"], how=_HOW, bar=_BAR),
        ratio("progress' processor time, the same", processor["with"], processor["without"], how=_HOW),
    ]


def records(gateway: Gateway, pupils: Pupils, bad: int, chance: random.Random) -> Iterator[Outgoing]:
    """The good commands, with so many bad records spread evenly among them."""
    run, good = secrets.token_hex(4), len(pupils.users) * len(pupils.lessons)
    poisoned = 0
    for place, command in enumerate(pupils.commands()):
        message = outgoing(gateway, command, f"{run}:{place}", reply_to=PROGRESS_REPLIES)
        while poisoned * good < bad * place:
            poisoned += 1
            yield spoil(message, chance.choice(SPOILED))
        yield message
    for _ in range(bad - poisoned):
        yield spoil(message, chance.choice(SPOILED))


#: How a record can be bad.
SPOILED = ("broken JSON", "bad UTF-8", "unknown type", "null value", "headers")


def spoil(message: Outgoing, how: str) -> Outgoing:
    """A good command made bad, in one of the ways in `SPOILED`."""
    match how:
        case "broken JSON":
            return message._replace(value=b'{"lessonId": ')
        case "bad UTF-8":
            return message._replace(value=b'{"lessonId": "\xff"}')
        case "null value":
            return message._replace(value=None)
        case "unknown type":
            headers = [(name, b"lesson.finish.v9" if name == "ce_type" else value) for name, value in message.headers]
            return message._replace(headers=headers)
        case _:
            many = [(f"x-{n}", None) for n in range(_MANY_HEADERS)]
            return message._replace(headers=[*message.headers, ("ce_type", b"\xff"), *many])


async def _wrong(target: Target, pupils: Pupils, bad: int) -> list[str]:
    """What is not there, or is there twice, in sentences."""
    wanted = len(pupils.users) * len(pupils.lessons)
    async with target.database() as db:
        stored = int(await db["lessonProgress"].count_documents({}))
    problems = [] if stored == wanted else [f"completions: {stored}, expected {wanted}"]
    letters = await _letters(target)
    if letters.total() != bad or len(letters) != bad:
        problems.append(f"dead letters: {letters.total()} of {len(letters)} records, expected {bad}")
    return problems


async def _letters(target: Target) -> Counter[tuple[bytes | None, bytes | None]]:
    """How often each position is a dead letter's."""
    found: Counter[tuple[bytes | None, bytes | None]] = Counter()
    async with target.reader(_LETTERS) as reader:
        partition = TopicPartition(_LETTERS, 0)
        end = (await reader.end_offsets([partition]))[partition]
        await reader.seek_to_beginning(partition)
        while await reader.position(partition) < end:
            for batch in (await reader.getmany(timeout_ms=1000)).values():
                for record in batch:
                    headers = dict(record.headers)
                    assert headers["x-dead-letter-topic"] == PROGRESS_COMMANDS.encode()
                    found[headers["x-dead-letter-partition"], headers["x-dead-letter-offset"]] += 1
    return found
