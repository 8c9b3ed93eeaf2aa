"""Fetch and build what a kafka stack needs, once for this user: `python -m ops.stacks.fetch`."""

import asyncio
import sys
from collections.abc import Callable

from ops.kinds import StackKind
from ops.stacks.backends import missing_parts
from ops.stacks.failures import StackError
from ops.stacks.home import open_home
from ops.stacks.jars import fetch_jars
from ops.stacks.programs import Programs
from ops.stacks.secantus import build_rust_server


async def fetch_parts(on_event: Callable[[str], None]) -> None:
    """Make the kafka stack complete; what is there already stays.

    Raises:
        StackError: a step failed, or something is missing that cannot be fetched.
    """
    async with open_home(None) as home:
        programs = Programs(home.path, home.logs, home.warden, on_event)
        try:
            on_event(f"Apache Kafka's jars are in {await fetch_jars(programs)}")
            on_event(f"SecantusDB's Rust server is {await build_rust_server(programs)}")
        finally:
            await programs.stop_all(programs.running, timeout=1)
    if missing := missing_parts(StackKind.KAFKA):
        raise StackError(f"{'. '.join(missing)}.")


def main() -> int:
    """Fetch, say each step, and answer the exit code."""
    try:
        asyncio.run(fetch_parts(print))
    except StackError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
