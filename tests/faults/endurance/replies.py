"""A reply topic that is gone: nobody hears the answers, and nothing else takes longer."""

import argparse
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka.admin import AIOKafkaAdminClient

from ops.offsets import GroupOffsets
from ops.stacks import RunningStack
from ops.target import Target, from_environment
from shared.contracts.topics import SERVICES, reply_topic
from shared.kafka.connection import client_options
from shared.kafka.provisioning import create_missing
from tests.bench.figures import Bar, Figure, ratio
from tests.bench.groups import until
from tests.bench.plan import Finding
from tests.bench.sending import Gateway
from tests.faults.endurance.commands import Pupils, outgoing
from tests.faults.endurance.draining import Drain, drain, school_alone
from tests.faults.endurance.trial import Trial

_REPLIES = reply_topic("endurance")
_THERE, _ABSENT, _DELETED = SIDES = ("there", "absent", "deleted")
_BAR = Bar("less than", 1.2)
_HOW = (
    "the same commands in the topic before progress starts, all answered to one private topic: one that is there, one "
    "that never was, one that is deleted when a fifth is done; from the moment progress has its partitions to its last "
    "commit; fresh broker and database each run; the gone topic / the one that is there"
)


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--commands", type=int, default=50_000, metavar="N", help="the backlog (default: 50000)")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="runs of each side (default: 3)")


async def run(trial: Trial) -> Finding:
    """Drain a backlog whose replies go to a topic that is there, that never was, and that is deleted meanwhile."""
    drains: dict[str, list[Drain]] = {side: [] for side in SIDES}
    problems: list[str] = []
    pupils = Pupils(trial.asked.commands)
    with TemporaryDirectory(prefix="lesson-progress-endurance-") as directory:
        gateway = Gateway(Path(directory))
        for pair in range(trial.asked.pairs):
            for side in SIDES if pair % 2 == 0 else reversed(SIDES):
                async with school_alone(gateway, pupils) as stack:
                    drains[side].append(await _drain(side, stack, gateway, pupils))
                    problems += await _wrong(side, from_environment(stack.environment), pupils)
                trial.tell(f"reply topic {side}: {drains[side][-1].seconds:.1f} s")
    return Finding(_figures(drains), [{"side": s, **asdict(d)} for s, of in drains.items() for d in of], problems)


def _figures(drains: Mapping[str, Sequence[Drain]]) -> list[Figure]:
    seconds = {side: [d.seconds for d in of] for side, of in drains.items()}
    return [
        ratio(f"time, reply topic {side} / there", seconds[side], seconds[_THERE], how=_HOW, bar=_BAR)
        for side in (_ABSENT, _DELETED)
    ]


async def _drain(side: str, stack: RunningStack, gateway: Gateway, pupils: Pupils) -> Drain:
    run = secrets.token_hex(4)
    messages = (
        outgoing(gateway, command, f"{run}:{place}", reply_to=_REPLIES.name)
        for place, command in enumerate(pupils.commands())
    )
    if side != _ABSENT:
        await create_missing(from_environment(stack.environment).settings.kafka, topics=[_REPLIES])
    return await drain(stack, messages, meanwhile=_delete if side == _DELETED else None)


async def _delete(target: Target) -> None:
    """Delete the reply topic when a fifth of the commands is done."""
    admin = AIOKafkaAdminClient(**client_options(target.settings.kafka))
    await admin.start()
    try:
        async with GroupOffsets(target) as offsets:
            at_first = await offsets.behind(SERVICES[0])

            async def begun() -> bool:
                return await offsets.behind(SERVICES[0]) <= at_first * 0.8

            await until(begun, every=0.1, seconds=120, what="progress has done nothing")
        await admin.delete_topics([_REPLIES.name])
    finally:
        await admin.close()


async def _wrong(side: str, target: Target, pupils: Pupils) -> list[str]:
    wanted = len(pupils.users) * len(pupils.lessons)
    async with target.database() as db:
        stored = int(await db["lessonProgress"].count_documents({}))
    return [] if stored == wanted else [f"{side}: completions: {stored}, expected {wanted}"]
