"""Start a stack and end it whatever happens: at the end of its block, on Ctrl-C, on errors, and with its process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ops.development import DevelopmentIdentity
from ops.kinds import StackKind
from ops.stacks.backends import Backend, missing_parts, prepare
from ops.stacks.failures import StackError
from ops.stacks.home import Home, open_home
from ops.stacks.ports import Ports
from ops.stacks.programs import Programs
from ops.stacks.running import RunningStack
from shared.contracts.topics import SERVICES
from shared.errors import Transient
from shared.kafka.provisioning import create_missing
from shared.settings import PREFIX, KafkaSettings

#: How long a service may take to finish what it has taken, and the broker and the database to close, in seconds.
_GRACE_SECONDS = 10.0


@asynccontextmanager
async def start_stack(
    kind: StackKind,
    *,
    directory: Path | None = None,
    services: Sequence[str] = SERVICES,
    extra_environment: Mapping[str, str] | None = None,
    on_event: Callable[[str], None] | None = None,
    http_ports: Mapping[str, int] | None = None,
    broker_port: int | None = None,
    database_port: int | None = None,
    provision: bool = True,
) -> AsyncIterator[RunningStack]:
    """Start a broker, a database and services; they end with the block, and with this process however it ends.

    A `directory` that is given is kept: the keys, the database's data, and Apache Kafka's (Tansu has none). Without
    one a temporary directory is removed at the end. Ports are free ones unless they are given. `extra_environment` is
    for the services; `on_event` hears one sentence for each step. Topics that are missing are created on the stack's
    own broker, unless `provision` is false; an external broker is never changed.

    Raises:
        StackError: something is missing here, or a program ended or did not answer; one clear sentence.
    """
    if missing := missing_parts(kind):
        raise StackError(f"The {kind} stack cannot start. {'. '.join(missing)}.")
    ports = Ports(_fixed(kind, http_ports or {}, broker=broker_port, database=database_port))
    tell = on_event or (lambda _: None)
    async with open_home(directory) as home:
        programs = Programs(home.path, home.logs, home.warden, tell)
        try:
            backend = await _start_backend(kind, home, programs, ports)
            if provision and backend.programs:
                await _provision(backend, tell)
            identity = (
                None if kind is StackKind.EXTERNAL else await asyncio.to_thread(DevelopmentIdentity.create, home.path)
            )
            stack = RunningStack(
                kind=kind,
                home=home,
                backend=backend,
                identity=identity,
                programs=programs,
                ports=ports,
                extra_environment=extra_environment or {},
            )
            await _together(stack.start_service(name) for name in services)
            yield stack
        except Exception as failure:
            if home.temporary and not isinstance(failure, StackError):  # which says itself where to look
                tell(f"What the programs said is kept in {home.logs}")
            raise
        finally:
            await _stop(programs, keep_data=not home.temporary)


def _fixed(
    kind: StackKind, http_ports: Mapping[str, int], *, broker: int | None, database: int | None
) -> Mapping[str, int]:
    """The ports that are not to be chosen; those of an external stack's services may be in the environment."""
    named = {name: port for name, port in (("broker", broker), ("database", database)) if port is not None}
    if kind is StackKind.EXTERNAL:
        for service in SERVICES:
            if port := os.environ.get(f"{PREFIX}{service.upper()}__HTTP__PORT"):
                named[service] = _number(port, f"{PREFIX}{service.upper()}__HTTP__PORT")
    return {**named, **http_ports}


def _number(port: str, variable: str) -> int:
    try:
        return int(port)
    except ValueError:
        raise StackError(f"The environment cannot be used: {variable} is {port!r}, and no port") from None


async def _start_backend(kind: StackKind, home: Home, programs: Programs, ports: Ports) -> Backend:
    backend = await prepare(kind, home, programs, ports)
    await _together(programs.start(program) for program in backend.programs)
    return backend


async def _provision(backend: Backend, tell: Callable[[str], None]) -> None:
    try:
        created = await create_missing(KafkaSettings(bootstrap_servers=backend.bootstrap_servers))
    except Transient as failure:
        raise StackError(f"{backend.parts.broker} did not create the topics: {failure}") from failure
    tell(f"{len(created)} topics created")


async def _stop(programs: Programs, *, keep_data: bool) -> None:
    """End the services at once, then what they stand on: without waiting for it when nobody will read its data."""
    services = [name for name in programs.running if name not in {"broker", "database"}]
    await programs.stop_all(services, timeout=_GRACE_SECONDS)
    await programs.stop_all(programs.running, timeout=_GRACE_SECONDS if keep_data else 0)


async def _together(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Take steps at once; the first that fails ends the others, and its error is the one that is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
