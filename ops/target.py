"""Which system a command talks to: the one that `up` started here, or the one that the settings name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ops.addresses import hosts_of
from ops.development import DevelopmentIdentity
from ops.errors import OperatorError
from ops.failures import broker_named, database_named
from ops.running import noted
from services.certificates.settings import CertificatesSettings
from services.progress.settings import ProgressSettings
from services.recalculator.settings import RecalculatorSettings
from shared.errors import Transient
from shared.settings import PREFIX, ServiceSettings

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from services.certificates.inspection import Auditor as CertificateAuditor
    from services.recalculator.inspection import Auditor
    from shared.mongo.batches import Sift
    from shared.mongo.client import Database

T = TypeVar("T")

# A driver is imported where a command first needs it: a token is made without any, and within half a second.
# ruff: noqa: PLC0415

_BROKERS = f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS"
_DATABASE = f"{PREFIX}MONGO__URI"


class OperatorSettings(ServiceSettings):
    """Everything the command line reads from its environment."""

    progress: ProgressSettings = ProgressSettings()
    recalculator: RecalculatorSettings = RecalculatorSettings()
    certificates: CertificatesSettings = CertificatesSettings()


@dataclass(frozen=True)
class Target:
    """One system: its settings, and the development identity where it has one."""

    settings: OperatorSettings
    identity: DevelopmentIdentity | None
    #: The token given by the operator, if any.
    token: str | None = None
    #: Where a variable's value comes from, for people; every other is a default.
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str:
        """The brokers' addresses."""
        return self.settings.kafka.bootstrap_servers

    def operator_token(self) -> str:
        """The token that commands are sent with.

        Raises:
            OperatorError: there is none.
        """
        if self.token:
            return self.token
        if self.identity is not None:
            return self.identity.mint("operator", operator=True)
        raise OperatorError(
            "an operator's token is needed: start a system in this folder with `lesson-progress up`, or for your own "
            "give --token or set LESSON_PROGRESS_TOKEN"
        )

    def learner_token(self, user_id: str) -> str:
        """A token of this learner, made with the development key.

        Raises:
            OperatorError: this system has no development key.
        """
        if self.identity is None:
            raise OperatorError(
                "there is no development key to make a learner's token with: start a system in this folder with "
                "`lesson-progress up`, or for your own give the learner's token with --token"
            )
        return self.identity.mint(user_id, lifetime_seconds=12 * 3600)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The database.

        Raises:
            OperatorError: it does not answer, or fails in the block.
        """
        from shared.mongo.client import connect, database, ping

        client = connect(self.settings.mongo, service="ops")
        try:
            db = database(client, self.settings.mongo)
            await _or_say(ping(db), self.database_away())
            with database_named():
                yield db
        finally:
            client.close()

    @asynccontextmanager
    async def auditor(self, sift: Sift | None = None) -> AsyncIterator[Auditor]:
        """Compares every enrollment with its facts.

        Raises:
            OperatorError: the database does not answer, or fails in the block.
        """
        from services.recalculator.inspection import build_auditor

        async with AsyncExitStack() as resources:
            auditor = await _or_say(
                resources.enter_async_context(build_auditor(self.settings, sift)), self.database_away()
            )
            with database_named():
                yield auditor

    @asynccontextmanager
    async def certificate_auditor(self, sift: Sift | None = None) -> AsyncIterator[CertificateAuditor]:
        """Looks for completed enrollments that have not all they ought to have.

        Raises:
            OperatorError: the database does not answer, or fails in the block.
        """
        from services.certificates.inspection import build_auditor

        pace = self.settings.recalculator
        building = build_auditor(
            self.settings.mongo, page=pace.audit_page, settle_seconds=pace.audit_settle_seconds, sift=sift
        )
        async with AsyncExitStack() as resources:
            auditor = await _or_say(resources.enter_async_context(building), self.database_away())
            with database_named():
                yield auditor

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """A producer.

        Raises:
            OperatorError: no broker answers, or it fails in the block.
        """
        from shared.kafka.assembly import make_producer
        from shared.kafka.connection import connected

        producer = make_producer(self.settings.kafka, client_id="lesson-progress-ops")
        try:
            await _or_say(connected(producer, self.settings.kafka), self.broker_away())
            with broker_named(self.bootstrap_servers):
                yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def reader(self, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer without a group that reads these topics from their ends on.

        Raises:
            OperatorError: no broker answers, or it fails in the block.
        """
        from aiokafka import AIOKafkaConsumer

        from shared.kafka.connection import client_options, connected, disconnected

        consumer = AIOKafkaConsumer(
            *topics,
            **client_options(self.settings.kafka),
            auto_offset_reset="latest",
            enable_auto_commit=False,
            fetch_max_wait_ms=self.settings.kafka.fetch_max_wait_ms,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        try:
            await _or_say(connected(consumer, self.settings.kafka), self.broker_away())
            with broker_named(self.bootstrap_servers):
                await consumer.seek_to_end()
                for partition in consumer.assignment():
                    await consumer.position(partition)
                yield consumer
        finally:
            await disconnected(consumer)

    async def asked(self, step: Callable[[], Awaitable[T]]) -> T:
        """What the broker answers.

        Raises:
            OperatorError: none answers.
        """
        from shared.kafka.connection import BrokerAway

        try:
            return await step()
        except BrokerAway as failure:
            raise OperatorError(self.broker_away()) from failure

    def broker_away(self) -> str:
        """The sentence that no broker answers, with the addresses and where they come from."""
        return f"no broker answers at {self.bootstrap_servers} ({self._source(_BROKERS)}); is the system up?"

    def database_away(self) -> str:
        """The sentence that the database does not answer, with its address and where that comes from."""
        hosts = hosts_of(self.settings.mongo.uri.get_secret_value())
        return f"the database does not answer at {hosts} ({self._source(_DATABASE)}); is the system up?"

    def _source(self, variable: str) -> str:
        return self.sources.get(variable, f"the default of {variable}")


async def _or_say(step: Awaitable[T], sentence: str) -> T:
    from aiokafka.errors import KafkaError

    try:
        return await step
    except (KafkaError, Transient, OSError) as failure:
        raise OperatorError(sentence) from failure


def from_environment(
    environment: Mapping[str, str], *, token: str | None = None, source: str = "of the system that was started"
) -> Target:
    """The system that these variables name; a development key beside its key set is used.

    `source` says for people where the variables come from.

    Raises:
        OperatorError: a variable cannot be read.
    """
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        raise OperatorError(f"these settings cannot be read: {'; '.join(map(_problem, error.errors()))}") from None
    finally:
        os.environ.clear()
        os.environ.update(before)
    named = {name: f"from {name}" for name in os.environ if name.startswith(PREFIX)}
    sources = named | dict.fromkeys(environment, source)
    return Target(settings, _identity(settings.auth.jwks), token or os.environ.get(f"{PREFIX}TOKEN"), sources)


def _problem(error: Mapping[str, Any]) -> str:
    variable = PREFIX + "__".join(str(part).upper() for part in error["loc"])
    return f"{variable} ({error['msg'].removeprefix('Value error, ')})"


def current(*, token: str | None = None) -> Target:
    """The system that the settings name, otherwise the one that `up` keeps running in this directory.

    Raises:
        OperatorError: a variable cannot be read, or what `up` noted.
    """
    named = any(name.startswith((f"{PREFIX}KAFKA__", f"{PREFIX}MONGO__")) for name in os.environ)
    here = {} if named else noted() or {}
    return from_environment(here, token=token, source="of the system that is up in this folder")


def _identity(jwks: str) -> DevelopmentIdentity | None:
    if jwks.startswith(("http://", "https://")):
        return None
    try:
        return DevelopmentIdentity.load(Path(jwks).parent)
    except (OSError, ValueError, TypeError):
        return None
