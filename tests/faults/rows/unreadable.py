"""Rows 20 to 22, 26, 27 and 31: records that cannot be read, and those that only look so."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.contracts import topics
from tests.faults.proxy.kafka_wire import TOO_LARGE, refused_with
from tests.faults.proxy.traps import ANSWER
from tests.faults.rows.catalog import Row
from tests.faults.rows.poison import Header, Poison, buried, envelope, letters, strew, types, values
from tests.faults.rows.replays import replayed
from tests.faults.rows.run import Run
from tests.faults.rows.stages import PROGRESS, STAGES, Stage, upstream_of

#: More than any topic of ours takes.
_ROOM_BYTES = 8 * 1024 * 1024


async def unreadable_values(run: Run) -> None:
    stage, world, poison = run.turn(STAGES), await run.world(), values(run, run.turn(STAGES))
    await world.send_some(len(world.plan) // 2)
    await strew(run, stage, poison)
    await world.send()

    await world.settled()
    await buried(run, stage, poison)


async def unreadable_headers(run: Run) -> None:
    stage, world, poison = run.turn(STAGES), await run.world(), types(run, run.turn(STAGES))
    learner, lesson = world.take()
    good = [*envelope(run, PROGRESS, without="authorization"), ("authorization", world.bearer(learner))]
    bad_tokens: list[list[Header]] = [
        [("authorization", None)],
        [("authorization", b"Bearer \xff")],
        [("authorization", world.bearer(learner)), ("authorization", world.bearer(learner))],
    ]
    odd: list[Header] = [
        ("reply-to", b"a"),
        ("reply-to", b"b"),
        ("correlation-id", b"\xff"),
        ("any", None),
        ("any", b"\xfe"),
    ]
    await strew(run, stage, poison)
    refused = await _not_authenticated(run)
    value, key = json.dumps({"lessonId": lesson}).encode(), learner.user_id.encode()
    for headers in bad_tokens:
        rest = envelope(run, PROGRESS, without="authorization")
        await run.gateway.send(topics.PROGRESS_COMMANDS, value, key=key, headers=[*rest, *headers])
    await world.send()
    await run.lane.drained(["progress"])
    assert await _not_authenticated(run) >= refused + len(bad_tokens), "a command without a readable token vanished"
    assert not await world.recorded(learner, lesson), "a command without a readable token was recorded"
    await run.gateway.send(topics.PROGRESS_COMMANDS, value, key=key, headers=[*good, *odd])
    world.note(learner, lesson)

    await world.settled()
    await buried(run, stage, poison)


async def _not_authenticated(run: Run) -> float:
    """How many commands were refused because of their tokens."""
    return await run.gateway.metric("progress", 'lesson_progress_commands_total{outcome="not_authenticated"}')


async def first_middle_last(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world(learners=8, lessons=3, finishers=8)
    await run.lane.stop(stage.service)
    poison: list[Poison] = []
    partitions = await run.gateway.partitions(stage.takes)  # row 30 may have added some

    async def on_every_partition() -> None:
        for number in sorted(partitions):
            one = run.chance.choice([*values(run, stage), *types(run, stage)])
            poison.append(one)
            await strew(run, stage, [one], partition=number)

    await on_every_partition()
    await world.send_some(len(world.plan) // 2)
    await run.lane.drained(upstream_of(stage))
    await on_every_partition()
    await world.send()
    await run.lane.drained(upstream_of(stage))
    await on_every_partition()
    await run.lane.start(stage.service)

    await world.settled()
    await buried(run, stage, poison)


async def unknown_field(run: Run) -> None:
    world = await run.world()
    learner, lesson = world.take()
    more: dict[str, object] = run.chance.choice(
        [{"a": [{}]}, {"userId": "somebody else"}, {"progressId": 7, "\U0001f393": None}]
    )
    value = json.dumps({"lessonId": lesson, **more}, ensure_ascii=run.chance.random() < 0.5).encode()
    headers = [*envelope(run, PROGRESS, without="authorization"), ("authorization", world.bearer(learner))]
    await run.gateway.send(topics.PROGRESS_COMMANDS, value, key=learner.user_id.encode(), headers=headers)
    world.note(learner, lesson)
    await world.send()

    await world.settled()


async def unknown_major_version(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    newer = next(v for name, v in envelope(run, stage) if name == "ce_type" and v).replace(b".v1", b".v2")
    poison = Poison(b"{}", [*envelope(run, stage, without="ce_type"), ("ce_type", newer)], "UnknownType")
    await strew(run, stage, [poison])
    await world.send()
    await world.settled()
    await buried(run, stage, [poison])

    await replayed(run, stage.service, letters(run, stage, poison))

    await buried(run, stage, [poison], copies=2)
    last = letters(run, stage, poison)[-1]
    assert last.headers["x-dead-letter-replays"] == b"1", "the replay was not counted"


async def too_large(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    limit = topics.TOPICS[stage.takes].max_bytes
    kept = Poison(bytes(limit + 1), envelope(run, stage), "TooLarge")
    beyond = Poison(bytes(topics.DEAD_LETTER_BYTES), envelope(run, stage), "TooLarge")
    async with _room(run, stage):
        await strew(run, stage, [kept, beyond])
        await world.send()
        await world.settled()
        await buried(run, stage, [kept])

    [letter] = letters(run, stage, beyond)
    assert letter.raw is None, "a dead letter holds more than its topic takes"
    assert letter.key == beyond.mark, "a dead letter without its value lost its key, too"
    assert letter.headers["x-dead-letter-value-bytes"] == str(topics.DEAD_LETTER_BYTES).encode()
    digest = sha256(bytes(topics.DEAD_LETTER_BYTES)).hexdigest()
    assert letter.headers["x-dead-letter-value-sha256"] == digest.encode(), "the digest is of another value"
    await _output_too_large(run, stage)


@asynccontextmanager
async def _room(run: Run, stage: Stage) -> AsyncIterator[None]:
    """The topic takes larger records than its card says, as one that somebody has changed."""
    configured = topics.TOPICS[stage.takes].configuration(min_insync_replicas=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=run.lane.system.stack.bootstrap_servers)
    await admin.start()
    try:
        for size in (str(_ROOM_BYTES), configured["max.message.bytes"]):
            changed = {**configured, "max.message.bytes": size}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, stage.takes, configs=changed)])
            if size == str(_ROOM_BYTES):
                yield
    finally:
        await admin.close()


async def _output_too_large(run: Run, stage: Stage) -> None:
    """The broker calls what a service publishes too large: a dead letter, which has its effect when it is replayed."""
    world = await run.world()
    topic = stage.publishes[0]
    told = run.broker_of(stage.service).trap(ANSWER, "Produce", topic, then=refused_with(TOO_LARGE))
    await world.send()
    await told.until_caught()
    await run.lane.drained()
    found = await world.all_letters(stage.service)
    assert found, "an output that is too large left no dead letter"
    assert {letter.headers["x-dead-letter-error"] for letter in found} == {b"OutputTooLarge"}

    await replayed(run, stage.service, found)

    world.dead_letters = len(found)
    await world.settled()


_TURN = "the seeds take the three services in turn"
_ONLY_IT = "only they are dead letters, byte for byte"
ROWS = (
    Row(
        20,
        "broken JSON, bad UTF-8, null value",
        f"six such values between good records; {_TURN}",
        _ONLY_IT,
        unreadable_values,
    ),
    Row(
        21,
        "bad, null, repeated headers",
        f"types that are missing, null, repeated, not UTF-8 or unknown ({_TURN}); commands with such tokens; a good "
        "command with such reply-to, correlation-id and foreign headers",
        "the types are dead letters, byte for byte; the tokens are refused; the good command is recorded",
        unreadable_headers,
    ),
    Row(
        22,
        "poison first, middle, last in a batch",
        f"while the service is stopped its topic gets poison, good records, poison, good records, poison, on all its "
        f"partitions; {_TURN}",
        _ONLY_IT,
        first_middle_last,
    ),
    Row(
        26,
        "unknown field",
        "a command with fields that no contract names, by chance of the seed",
        "accepted",
        unknown_field,
    ),
    Row(
        27,
        "unknown major version",
        f"a record of version 2; {_TURN}; its dead letter is replayed by the operator's command",
        "a dead letter, byte for byte; replayed, one again, with its first position and the replay counted",
        unknown_major_version,
    ),
    Row(
        31,
        "oversized record or output",
        f"a topic that somebody gave more room takes a record larger than its card says, and one larger than a dead "
        f"letter may be; then the link says that an event is too large (10) for the broker; {_TURN}",
        "dead letters, the second without its value and with its digest; the one whose output was refused has its "
        "effect when it is replayed",
        too_large,
    ),
)
