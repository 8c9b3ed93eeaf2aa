"""Send commands, and wait until an audit finds that they healed."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice
from typing import Protocol

from ops.conversation import command_headers
from ops.repair.findings import Finding
from ops.repair.index import Index
from ops.target import Target
from shared.contracts.values import Message

#: Commands that are in flight at once.
_IN_FLIGHT = 5_000
#: Enrollments that are looked at again at once.
_AT_ONCE = 1_000
#: Between two looks, at least.
_LOOK_SECONDS = 0.5


async def send(target: Target, messages: Iterable[tuple[str, str, Message]]) -> None:
    """Send commands, each as (topic, key, command); done when the broker has all of them.

    Raises:
        OperatorError: it has not; those it has will be handled.
    """
    token = target.operator_token()
    # An id of its own for every command: two repairs are no repetition of each other.
    sending = secrets.token_hex(8)
    async with target.producer() as producer:
        numbered = iter(enumerate(messages))
        while batch := list(islice(numbered, _IN_FLIGHT)):
            acknowledged = []
            for n, (topic, key, message) in batch:
                headers = command_headers(type(message), token, command_id=f"repair:{sending}:{n}")
                acknowledged.append(await producer.send(topic, message.to_json(), key.encode(), headers=headers))
            await asyncio.gather(*acknowledged)


class Looking(Protocol):
    """What can be asked about single enrollments."""

    async def among(self, enrollment_ids: Collection[str]) -> list[Finding]:
        """What is not as it ought to be with these at this moment."""


async def wait(
    audit: Looking,
    index: Index,
    *,
    patience: float,
    on_progress: Callable[[int], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Wait until nothing is left to heal, or `patience` seconds have healed no enrollment more; the index has the rest.

    What only a person can mend is noted as well, and not waited for. `on_progress` hears how many enrollments wait.
    """
    waiting, healed_at = index.waiting(), monotonic()
    while True:
        looked_at = monotonic()
        for ids in index.pages(_AT_ONCE):
            index.looked_at(ids, await audit.among(ids))
        before, waiting = waiting, index.waiting()
        if waiting < before:
            healed_at = monotonic()
        on_progress(waiting)
        if not waiting or monotonic() - healed_at >= patience:
            return
        await sleep(max(_LOOK_SECONDS, monotonic() - looked_at))
