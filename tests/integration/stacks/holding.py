"""Start an embedded stack, say on one line of JSON where it is, and hold it until the process ends."""

import asyncio
import json
import sys
from pathlib import Path

from ops.stacks import StackKind, start_stack


async def hold(directory: Path | None) -> None:
    async with start_stack(StackKind.EMBEDDED, directory=directory, services=(), provision=False) as stack:
        print(json.dumps({"directory": str(stack.directory), **stack.environment}), flush=True)  # noqa: T201 - for the test
        await asyncio.Event().wait()


asyncio.run(hold(Path(sys.argv[1]) if sys.argv[1:] else None))
