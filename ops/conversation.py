"""Commands and their replies, as a gateway would have them."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.errors import OperatorError
from ops.target import Target
from shared.contracts import envelope as ce
from shared.contracts.topics import PROGRESS_REPLIES
from shared.contracts.values import Message

SOURCE = "/gateways/lesson-progress"
#: Commands that are in flight at once.
_IN_FLIGHT = 5_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as it came: its type, its data as JSON, and how long it took."""

    type: str
    value: bytes
    milliseconds: float

    @property
    def rejected(self) -> bool:
        """Whether the command was refused."""
        return self.type == "command.rejected.v1"


def command_headers(
    message: type[Message],
    token: str,
    *,
    command_id: str,
    reply_to: str | None = None,
    correlation_id: str | None = None,
) -> list[tuple[str, bytes]]:
    """The headers of a command.

    Raises:
        OperatorError: the token cannot be one.
    """
    if not token.isascii() or not token.isprintable():
        raise OperatorError("the token is no token: it holds characters that none has")
    now = time.time_ns() // 1_000_000
    headers = ce.write(event_type=message.TYPE, event_id=command_id, source=SOURCE, time=now, cause=ce.Cause())
    headers.append(("authorization", f"Bearer {token}".encode()))
    if reply_to is not None:
        headers.append(("reply-to", reply_to.encode()))
        headers.append(("correlation-id", (correlation_id or command_id).encode()))
    return headers


async def ask(target: Target, topic: str, key: str, message: Message, token: str, *, seconds: float = 30.0) -> Answer:
    """Send one command and wait for its reply.

    Raises:
        OperatorError: the broker is away or failed, or no reply came in time.
    """
    command_id = secrets.token_hex(16)
    headers = command_headers(type(message), token, command_id=command_id, reply_to=PROGRESS_REPLIES)
    async with target.reader(PROGRESS_REPLIES) as replies, target.producer() as producer:
        started = time.perf_counter()
        await producer.send_and_wait(topic, message.to_json(), key.encode(), headers=headers)
        try:
            async with asyncio.timeout(seconds):
                async for record in replies:
                    found = dict(record.headers)
                    if found.get("correlation-id") == command_id.encode():
                        took = (time.perf_counter() - started) * 1000
                        return Answer(found["ce_type"].decode(), record.value or b"", took)
        except TimeoutError:
            raise OperatorError(
                f"no reply in {seconds:.0f} s; the command stays in the topic and will be handled: are the services up?"
            ) from None
    raise OperatorError("the replies ended")


async def ask_all(
    target: Target,
    topic: str,
    commands: Sequence[tuple[str, Message]],
    *,
    patience: float,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[int, Answer]:
    """Send an operator's commands, each with its key, and wait for their replies, by the commands' places.

    What nobody has answered when no reply has come for `patience` seconds is left out. `on_progress` hears how many are
    answered.

    Raises:
        OperatorError: the broker is away or failed; what it has will be handled.
    """
    token, asking = target.operator_token(), secrets.token_hex(8)
    ids = {f"ask:{asking}:{n}".encode(): n for n in range(len(commands))}
    answers: dict[int, Answer] = {}
    async with target.reader(PROGRESS_REPLIES) as replies, target.producer() as producer:
        started = time.perf_counter()
        for start in range(0, len(commands), _IN_FLIGHT):
            acknowledged = []
            for n, (key, message) in enumerate(commands[start : start + _IN_FLIGHT], start):
                command_id = f"ask:{asking}:{n}"
                headers = command_headers(type(message), token, command_id=command_id, reply_to=PROGRESS_REPLIES)
                acknowledged.append(await producer.send(topic, message.to_json(), key.encode(), headers=headers))
            await asyncio.gather(*acknowledged)
        heard = time.perf_counter()
        while len(answers) < len(commands) and time.perf_counter() - heard < patience:
            batches = await replies.getmany(timeout_ms=200)
            now = time.perf_counter()
            for record in (record for records in batches.values() for record in records):
                found = dict(record.headers)
                if (n := ids.get(found.get("correlation-id") or b"", -1)) >= 0:
                    answers[n] = Answer(found["ce_type"].decode(), record.value or b"", (now - started) * 1000)
                    heard = now
            on_progress(len(answers))
    return answers
