"""A stack that runs: where everything is, and how to start and stop its programs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from ops.development import AUDIENCE, ISSUER, DevelopmentIdentity
from ops.kinds import StackKind
from ops.stacks.backends import Backend, Parts
from ops.stacks.failures import StackError
from ops.stacks.home import Home
from ops.stacks.ports import HOST, Ports
from ops.stacks.programs import Program, Programs
from ops.stacks.readiness import service_answers
from shared.contracts.topics import SERVICES
from shared.settings import PREFIX

#: How long to look for what is behind a failure, in seconds.
_AFTERTHOUGHT_SECONDS = 0.5


class RunningStack:
    """A broker, a database, and the services that were asked for."""

    def __init__(
        self,
        *,
        kind: StackKind,
        home: Home,
        backend: Backend,
        identity: DevelopmentIdentity | None,
        programs: Programs,
        ports: Ports,
        extra_environment: Mapping[str, str],
    ) -> None:
        #: Which kind of stack it is.
        self.kind = kind
        #: Who signs this stack's tokens; None when that is somebody else's task.
        self.identity = identity
        self._home = home
        self._backend = backend
        self._programs = programs
        self._ports = ports
        #: The LESSON_PROGRESS_* variables with which a service or a command reaches this stack.
        self.environment: Mapping[str, str] = {
            **self._addresses(),
            **self._trust(),
            **backend.settings,
            **extra_environment,
        }

    @property
    def directory(self) -> Path:
        """Keys, data and logs."""
        return self._home.path

    @property
    def parts(self) -> Parts:
        """The broker and the database by name and version, for people."""
        return self._backend.parts

    @property
    def bootstrap_servers(self) -> str:
        """The broker's own address, whatever the services were given in its place."""
        return self._backend.bootstrap_servers

    @property
    def mongo_uri(self) -> str:
        """The database's own address, whatever the services were given in its place; may hold a password."""
        return self._backend.mongo_uri

    @property
    def mongo_database(self) -> str:
        """The name of the database."""
        return self._backend.mongo_database

    def http_url(self, service: str) -> str:
        """Where a service, or an instance of one, answers HTTP; without a slash at the end."""
        return f"http://{HOST}:{self._ports.of(service)}"

    def log_path(self, name: str) -> Path:
        """The log of a service, an instance, `broker` or `database`."""
        return self._programs.log_path(name)

    async def start_service(
        self, name: str, *, instance: str | None = None, extra_environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a service and wait until it is ready.

        More than one of the same service can run when each is given an `instance` name of its own, which then stands
        for it wherever a service is named.

        Raises:
            StackError: it did not become ready, or runs already.
        """
        instance = instance or name
        url = self.http_url(instance)
        port = {f"{PREFIX}{name.upper()}__HTTP__PORT": str(self._ports.of(instance))}
        program = Program(
            name=instance,
            title=instance,
            command=(sys.executable, "-m", f"services.{name}"),
            address=url,
            answers=partial(service_answers, url),
            environment={**os.environ, **self.environment, **port, **(extra_environment or {})},
        )
        await self._programs.start(program)

    async def stop_service(self, name: str, *, timeout: float = 10) -> int:  # noqa: ASYNC109 - the service's time
        """Ask a service to end (SIGTERM); make it when it takes longer than this (s). Answers its exit code."""
        return await self._programs.stop(name, timeout=timeout)

    def kill_service(self, name: str) -> None:
        """End a service without warning (SIGKILL)."""
        self._programs.kill(name)

    async def start_part(self, name: str) -> None:
        """Start `broker` or `database` again after `kill_part`, on the same port and the same data.

        Raises:
            StackError: it did not answer, or is not this stack's.
        """
        for program in self._backend.programs:
            if program.name == name:
                return await self._programs.start(program)
        raise StackError(f"This stack has no {name} of its own")

    def kill_part(self, name: str) -> None:
        """End `broker` or `database` without warning (SIGKILL)."""
        self._programs.kill(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal, as SIGSTOP and SIGCONT, to a service, an instance, `broker` or `database`."""
        self._programs.signal(name, number)

    async def watch(self) -> NoReturn:
        """Wait until something of the stack ends that nobody asked to end.

        Raises:
            StackError: it did; the text says what and shows the end of its log.
        """
        await self._programs.watch()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """End the block at once when something of the stack ends that nobody asked to end.

        Raises:
            StackError: it did; the text says what and shows the end of its log.
        """
        block = asyncio.current_task()
        assert block is not None  # noqa: S101 - a coroutine runs in one
        watching = asyncio.create_task(self._programs.watch())
        end_block = partial(_cancel, block)
        watching.add_done_callback(end_block)
        try:
            yield
            if watching.done():  # the block took no notice
                watching.result()
        except asyncio.CancelledError:
            if not watching.done():
                raise
            block.uncancel()
            watching.result()
        except Exception as failure:
            # What ended makes others fail, and which is seen first is chance.
            watching.remove_done_callback(end_block)
            await asyncio.wait({watching}, timeout=_AFTERTHOUGHT_SECONDS)
            if watching.done() and (cause := watching.exception()) is not None and cause is not failure:
                raise cause from failure
            raise
        finally:
            watching.remove_done_callback(end_block)
            watching.cancel()
            await asyncio.wait({watching})

    def _addresses(self) -> dict[str, str]:
        own = {
            f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            f"{PREFIX}MONGO__URI": self.mongo_uri,
            f"{PREFIX}MONGO__DATABASE": self.mongo_database,
            f"{PREFIX}PUBLIC_URL": self.http_url("certificates"),
        }
        for service in SERVICES:
            own[f"{PREFIX}{service.upper()}__HTTP__HOST"] = HOST
            own[f"{PREFIX}{service.upper()}__HTTP__PORT"] = str(self._ports.of(service))
        return own

    def _trust(self) -> dict[str, str]:
        if self.identity is None:
            return {}
        return {
            f"{PREFIX}AUTH__JWKS": str(self.identity.key_set),
            f"{PREFIX}AUTH__ISSUER": ISSUER,
            f"{PREFIX}AUTH__AUDIENCE": AUDIENCE,
        }


def _cancel(block: asyncio.Task[object], watching: asyncio.Task[object]) -> None:
    if not watching.cancelled():
        block.cancel()
