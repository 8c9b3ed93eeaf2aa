"""Every place where a process can stop: each effect of a stand-in lies between two numbered steps."""

import asyncio
from collections.abc import Awaitable, Callable


class Steps:
    """The steps that were taken, and at which of them a test stops the process."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.at: int | None = None
        self.stop: Callable[[], Awaitable[None]] | None = None

    async def reach(self, name: str) -> None:
        """Come to the next step; a process that is to stop here goes no further."""
        number = len(self.names)
        self.names.append(name)
        await asyncio.sleep(0)
        if number == self.at and self.stop is not None:
            await self.stop()
