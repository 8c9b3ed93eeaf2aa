"""The whole system under test, on one stack for a whole session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ops.platform.indexes import prepare_indexes
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.target import Target, from_environment
from tests.support.campus import Campus
from tests.support.gateway import Gateway


class System:
    """A running system, and who drives it."""

    def __init__(self, stack: RunningStack, target: Target, gateway: Gateway, campus: Campus) -> None:
        self.stack = stack
        self.target = target
        self.gateway = gateway
        self.campus = campus

    async def restart_services(self) -> list[int]:
        """Stop every service as an orchestrator would, and start it again; answers the exit codes."""
        codes = await asyncio.gather(*(self.stack.stop_service(name) for name in SERVICES))
        await asyncio.gather(*(self.stack.start_service(name) for name in SERVICES))
        return codes


@asynccontextmanager
async def running_system(kind: StackKind, directory: Path | None = None, **options: Any) -> AsyncIterator[System]:
    """Start a system; it ends with the block."""
    async with start_stack(kind, directory=directory, **options) as stack:
        assert stack.identity is not None
        target = from_environment(stack.environment)
        async with target.database() as db:
            await prepare_indexes(db)
            async with Gateway(stack.bootstrap_servers, stack.identity, stack.http_url) as gateway:
                yield System(stack, target, gateway, Campus(db))
