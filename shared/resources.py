"""What every service holds while it runs: the database, the issuer's keys, the operations' routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from shared import problems
from shared.clock import Clock
from shared.errors import Fatal, Transient
from shared.identity import TokenVerifier
from shared.identity.key_memory import Recalled
from shared.identity.key_sources import FileSource, HttpSource, KeySetSource
from shared.identity.signing_keys import KeySet
from shared.kafka.assembly import KafkaSide
from shared.mongo.client import connect, database, ping
from shared.mongo.signing_keys import MongoKeyMemory
from shared.observability.health import health_router
from shared.settings import ServiceSettings

_KEYS_SECONDS = 5.0
_DATABASE_SECONDS = 10.0


class Resources:
    """The database and the keys of one service; opened when it starts, closed when it ends."""

    def __init__(self, service: str, settings: ServiceSettings, clock: Clock, *, read_only: bool = False) -> None:
        self.version = version("lesson-progress")
        self._client = connect(settings.mongo, service=service)
        self.db = database(self._client, settings.mongo)
        auth = settings.auth
        memory = MongoKeyMemory(self.db, f"{service}SigningKeys")
        self._keys = KeySet(
            _source(auth.jwks),
            Recalled(memory) if read_only else memory,
            clock=clock,
            refresh_seconds=auth.refresh_seconds,
        )
        self.verifier = TokenVerifier(
            self._keys,
            issuer=auth.issuer,
            audience=auth.audience,
            roles_claim=auth.roles_claim,
            operator_role=auth.operator_role,
            cache_size=50_000,
        )

    @asynccontextmanager
    async def database(self, prepare: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
        """The database, answering and with its indexes; closed last of all. Nothing is prepared by who only reads."""
        await ping(self.db)
        if prepare is not None:
            await prepare()
        try:
            yield
        finally:
            # It says goodbye to the server and waits for the answer: not on the loop's own thread.
            await asyncio.to_thread(self._client.close)

    @asynccontextmanager
    async def keys(self) -> AsyncIterator[None]:
        """The issuer's keys: nothing is consumed before the first good set is there."""
        try:
            await self._keys.start()
            try:
                await asyncio.wait_for(self._keys.wait_ready(), _KEYS_SECONDS)
            except TimeoutError:
                raise Transient("no key set yet") from None
            yield
        finally:
            await self._keys.stop()

    async def watch_database(self) -> None:
        """Look for the database, once; to be repeated in the background: an idle service says that it is away, too.

        Raises:
            Fatal: the database no longer lets us in.
            Transient: it is away.
        """
        await asyncio.sleep(_DATABASE_SECONDS)
        try:
            await ping(self.db)
        except Transient as failure:
            raise Transient("the database does not answer") from failure

    async def watch_keys(self) -> None:
        """End the service when the keys are no longer kept fresh; to be repeated in the background.

        Raises:
            Fatal: the refresher has ended; an old key set must not be trusted for ever.
        """
        await asyncio.sleep(_KEYS_SECONDS)
        if not self._keys.ready:
            try:
                await self._keys.wait_ready()
            except Exception as failure:
                raise Fatal(f"the signing keys are no longer kept fresh: {type(failure).__name__}") from failure

    def serve_operations(self, http: FastAPI, *, kafka: KafkaSide, registry: CollectorRegistry) -> None:
        """Add health, metrics and problem documents to a service's HTTP side."""

        async def keys_there() -> None:
            if not self._keys.ready:
                raise Transient("no key set yet")

        checks = {"broker": kafka.check, "database": lambda: ping(self.db), "keys": keys_there}
        http.include_router(health_router(alive=lambda: kafka.alive, checks=checks, registry=registry))
        problems.install(http)


def _source(jwks: str) -> KeySetSource:
    if jwks.startswith(("http://", "https://")):
        return HttpSource(jwks)
    return FileSource(Path(jwks))
