"""What is kept of a failure, in one folder: the services' logs, what passed on the links, topics and collections.

Tokens are masked: whoever reads a failure must not be able to act as a learner or an operator.
"""

import asyncio
import json
import shutil
import traceback
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ops.offsets import GroupOffsets
from tests.faults.rows.lane import Lane

_MASKED = "(masked)"
_DUMP_SECONDS = 60.0


async def keep(lane: Lane, folder: Path, failure: BaseException) -> None:
    """Write everything about a failure into this folder; what cannot be read is said in a file of its own."""
    _keep_files(lane, folder, failure)
    for name, dump in (("topics", _dump_topics), ("collections", _dump_collections)):
        try:
            async with asyncio.timeout(_DUMP_SECONDS):
                await dump(lane, folder / name)
        except Exception:  # noqa: BLE001 - the broker or the database may be what has failed
            _write(folder / name / "not-read.txt", traceback.format_exc())


def _keep_files(lane: Lane, folder: Path, failure: BaseException) -> None:
    for room in ("topics", "collections"):
        (folder / room).mkdir(parents=True, exist_ok=True)
    _write(folder / "failure.txt", "".join(traceback.format_exception(failure)))
    _write(folder / "links.txt", "\n".join(lane.record.lines) + "\n")
    shutil.copytree(lane.system.stack.log_path("broker").parent, folder / "logs", dirs_exist_ok=True)


def _write(file: Path, text: str) -> None:
    file.write_text(text)


async def _dump_topics(lane: Lane, folder: Path) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=lane.system.stack.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        names = sorted(topic for topic in await consumer.topics() if not topic.startswith("__"))
        async with GroupOffsets(lane.system.target) as offsets:
            ends = {partition: end for partition, end in (await offsets.ends(names)).items() if end > 0}
        for topic in names:
            with (folder / f"{topic}.jsonl").open("w") as file:
                async for record in _all(consumer, {p: end for p, end in ends.items() if p.topic == topic}):
                    file.write(json.dumps(_shown(record)) + "\n")
    finally:
        await consumer.stop()


async def _all(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
    if not ends:
        return
    consumer.assign(list(ends))
    await consumer.seek_to_beginning()
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                yield record


def _shown(record: ConsumerRecord[bytes, bytes]) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "headers": [[n, _MASKED if n.lower() == "authorization" else _text(v)] for n, v in record.headers],
        "value": _text(record.value),
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


async def _dump_collections(lane: Lane, folder: Path) -> None:
    db = lane.system.campus.db
    for name in sorted(await db.list_collection_names()):
        if name == "fs.chunks":
            continue
        with (folder / f"{name}.jsonl").open("w") as file:
            async for document in db[name].find({}, batch_size=1000):
                file.write(json.dumps(document, default=str) + "\n")
