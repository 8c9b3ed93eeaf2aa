"""What a link knows of the protocol that it carries: where a message ends, what it asks for, and whose answer it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

#: Makes another answer of an answer; both are whole messages as they go over the wire.
Edit: TypeAlias = Callable[["Request", bytes], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One message from a service to the broker or the database."""

    #: Ties the answer to it; unique on its connection while it is unanswered.
    identity: int
    #: What it asks for, as the protocol calls it (`Produce`, `OffsetCommit`, `insert`), and what that is besides.
    kinds: frozenset[str]
    #: The topics or collections that it is about, where that is known.
    about: frozenset[str]
    raw: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """For people."""
        return f"{'/'.join(sorted(self.kinds))} {', '.join(sorted(self.about))}".rstrip()


class Wire(Protocol):
    """One protocol, on one link."""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next whole message.

        Raises:
            asyncio.IncompleteReadError: the other side has closed.
        """

    def request(self, raw: bytes) -> Request:
        """What a message of a service asks for."""

    def answered(self, raw: bytes) -> int:
        """The identity of the request that a message answers."""

    def arriving(self, request: Request, answer: bytes) -> bytes:
        """The answer as the service must see it, so that it stays on this link."""

    def summary(self, request: Request, answer: bytes) -> str:
        """What an answer says, where that is worth a line of the record; empty where it is not."""
