"""Every place where a process can stop: each effect of a stand-in lies between two steps."""

import asyncio


class Steps:
    """Comes by each step and goes on; a test that stops processes there, or orders them, has steps of its own."""

    async def reach(self, name: str) -> None:
        """Come to the step of this name."""
        await asyncio.sleep(0)
