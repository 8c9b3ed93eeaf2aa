"""One replay: send the commands, wait until every service has finished, and ask for the verdict."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Protocol

from aiokafka import AIOKafkaConsumer
from rich.console import Console

from ops.errors import OperatorError
from ops.offsets import GroupOffsets
from ops.platform.counting import ExpectedFigures
from ops.platform.datasets import Dataset
from ops.replay.plan import PlannedCommand
from ops.replay.repeating import Patience, until_answered
from ops.replay.sending import send_all
from ops.replay.verdict import Result, judge
from ops.replay.view import live
from ops.replay.watching import TOPICS, Watch
from ops.target import Target
from shared.contracts.topics import SERVICES, dead_letters_of

#: No stage moved for so long: something is wrong.
STALL_SECONDS = 120.0
#: Everything is committed and nothing arrives for so long: nothing will.
QUIET_SECONDS = 10.0
_POLL_SECONDS = 0.3


async def replay(
    target: Target,
    dataset: Dataset,
    commands: list[PlannedCommand],
    expected: ExpectedFigures,
    *,
    rate: float | None,
    console: Console,
    ask_again: bool = False,
    beside: Callable[[Watch], Awaitable[None]] | None = None,
    log_of: Callable[[str], Path] | None = None,
) -> Result:
    """Send the commands, wait until every service has finished, and compare what is there with the files.

    With `ask_again`, what has no answer then is sent again, as gateways do; otherwise it is a problem of the verdict.
    `beside` runs along with the sending (a test kills services there); `log_of` says where a service's log is.

    Raises:
        OperatorError: nothing moves any more, or the broker or the database failed.
    """
    watch = Watch(secrets.token_hex(6), {(e.user_id, e.course_id): e.id for e in dataset.platform.enrollments})
    tokens = cache(target.learner_token)
    for command in commands:
        tokens(command.completion.user_id)
    new = await _new(target, dataset, expected)
    started = perf_counter()
    async with GroupOffsets(target) as offsets, target.reader(*TOPICS) as reader, target.producer() as producer:
        letters_before = await _dead_letters(offsets)
        async with _following(watch, reader), live(console, watch, commands=len(commands), expected=expected):
            aside = asyncio.create_task(_beside(beside, watch))
            send = partial(send_all, producer=producer, watch=watch, tokens=tokens)

            async def arrived() -> None:
                await aside
                await _finished(offsets, watch, log_of)
                await _all_arrived(watch, (len(commands), *new))

            await _converse(commands, watch, send, arrived, rate=rate, ask_again=ask_again)
        seconds = perf_counter() - started
        dead_letters = await _dead_letters(offsets) - letters_before
    return await judge(target, dataset, expected, watch, dead_letters, seconds)


class _Send(Protocol):
    def __call__(self, commands: Sequence[PlannedCommand], *, rate: float | None) -> Awaitable[None]: ...


async def _converse(
    commands: Sequence[PlannedCommand],
    watch: Watch,
    send: _Send,
    arrived: Callable[[], Awaitable[None]],
    *,
    rate: float | None,
    ask_again: bool,
) -> None:
    """Send the commands and wait until everything has arrived; again for those without an answer, if that is wanted."""

    async def again(silent: Sequence[PlannedCommand]) -> None:
        await send(silent, rate=None)
        await arrived()

    await send(commands, rate=rate)
    await arrived()
    if ask_again:
        await until_answered(commands, watch, again)


async def _beside(step: Callable[[Watch], Awaitable[None]] | None, watch: Watch) -> None:
    if step is not None:
        await step(watch)


@asynccontextmanager
async def _following(watch: Watch, reader: AIOKafkaConsumer) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.follow(reader))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _finished(offsets: GroupOffsets, watch: Watch, log_of: Callable[[str], Path] | None) -> None:
    """Wait until each service has committed everything there is for it, in the order of the flow."""
    patience = Patience()
    for service in SERVICES:
        moved_at, last = perf_counter(), None
        while (behind := await patience.ask(partial(offsets.behind, service))) != 0:
            if behind is None or behind != last:
                moved_at, last = perf_counter(), behind
            elif perf_counter() - moved_at > STALL_SECONDS:
                log = f"its log, {log_of(service)}" if log_of is not None else "its log"
                raise OperatorError(
                    f"{service} has {behind} records to handle and has not moved for {STALL_SECONDS:.0f} s "
                    f"({watch.answered} of {watch.sent} commands answered); look into {log}"
                )
            await asyncio.sleep(_POLL_SECONDS)


async def _new(target: Target, dataset: Dataset, expected: ExpectedFigures) -> tuple[int, int]:
    """How many completions and certificates are still to come: those that are not there yet."""
    ours = {"courseId": {"$in": [course.id for course in dataset.platform.courses]}}
    async with target.database() as db:
        completions = await db["lessonProgress"].count_documents(ours)
        certificates = await db["certificates"].count_documents({**ours, "status": "issued"})
    return expected.completions - completions, expected.certificates - certificates


async def _all_arrived(watch: Watch, wanted: tuple[int, int, int]) -> None:
    """Wait until so much has arrived, or nothing has for a while: the verdict is on what is there then.

    Replies are a little behind the commits. And the embedded broker's ends say little: after a batch of records they
    stand behind its first, so that a service seems to have committed everything while it is still at work.
    """
    moved_at, last = perf_counter(), watch.arrived
    while any(found < expected for found, expected in zip(watch.arrived, wanted, strict=True)):
        if watch.arrived != last:
            moved_at, last = perf_counter(), watch.arrived
        elif perf_counter() - moved_at > QUIET_SECONDS:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _dead_letters(offsets: GroupOffsets) -> int:
    return sum((await offsets.ends([dead_letters_of(service) for service in SERVICES])).values())


async def save_one_pdf(target: Target, directory: Path, *, courses: list[str]) -> Path | None:
    """Save the PDF of one learner who completed; answers its path, or None when nobody has.

    Raises:
        OperatorError: it cannot be read from the database, or not be written here.
    """
    async with target.database() as db:
        certificate = await db["certificates"].find_one({"status": "issued", "courseId": {"$in": courses}})
        if certificate is None or certificate.get("fileId") is None:
            return None
        chunks = await db["fs.chunks"].find({"files_id": certificate["fileId"]}).to_list(None)
    path = directory / f"certificate-{certificate['userId']}.pdf"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(bytes(c["data"]) for c in sorted(chunks, key=lambda c: int(c["n"]))))
    except OSError as failure:
        raise OperatorError(f"the certificate cannot be written to {path}: {failure.strerror}") from failure
    return path
