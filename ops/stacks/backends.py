"""A broker and a database for each kind of stack, and what is missing for them here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from ops.kinds import StackKind
from ops.stacks import apache_kafka, secantus, tansu
from ops.stacks.failures import StackError
from ops.stacks.home import Home
from ops.stacks.ports import Ports
from ops.stacks.programs import Program, Programs
from shared.settings import PREFIX, ServiceSettings

_DATABASE_NAME = "lesson_progress"
#: What an external stack cannot do without.
_NAMED_OUTSIDE = {
    f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": "the brokers",
    f"{PREFIX}MONGO__URI": "the database",
    f"{PREFIX}AUTH__JWKS": "the issuer's key set",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """The broker and the database by name and version, for people."""

    broker: str
    database: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A broker and a database, and how services reach them."""

    parts: Parts
    bootstrap_servers: str
    mongo_uri: str
    mongo_database: str
    #: LESSON_PROGRESS_* variables that suit this broker and this database.
    settings: Mapping[str, str]
    #: What is started before the services; nothing when the broker and the database are somebody else's.
    programs: tuple[Program, ...] = ()


def missing_parts(kind: StackKind) -> list[str]:
    """What has to be there before a stack of this kind can start and is not, as sentences that say how to get it."""
    match kind:
        case StackKind.EMBEDDED:
            return tansu.missing() + secantus.python_server_missing()
        case StackKind.KAFKA:
            return apache_kafka.missing() + secantus.rust_server_missing()
        case StackKind.EXTERNAL:
            unset = [(name, what) for name, what in _NAMED_OUTSIDE.items() if not os.environ.get(name)]
            return [f"{name} is not set: it names {what}" for name, what in unset]


async def prepare(kind: StackKind, home: Home, programs: Programs, ports: Ports) -> Backend:
    """Make everything ready so that the backend's programs can start; nothing may be missing.

    Raises:
        StackError: a step of it failed.
    """
    match kind:
        case StackKind.EMBEDDED:
            broker = tansu.tansu(home, port=ports.of("broker"))
            database = secantus.python_server(home, port=ports.of("database"))
            return _local(broker, database, tansu.SETTINGS | secantus.PYTHON_SETTINGS)
        case StackKind.KAFKA:
            broker = await apache_kafka.apache_kafka(home, programs, ports)
            database = secantus.rust_server(home, port=ports.of("database"))
            return _local(broker, database, apache_kafka.SETTINGS | secantus.RUST_SETTINGS)
        case StackKind.EXTERNAL:
            return _external()


def _local(broker: Program, database: Program, settings: Mapping[str, str]) -> Backend:
    return Backend(
        parts=Parts(broker.title, database.title),
        bootstrap_servers=broker.address,
        # These servers are no replica set to look for.
        mongo_uri=f"mongodb://{database.address}/?directConnection=true",
        mongo_database=_DATABASE_NAME,
        settings=settings,
        programs=(broker, database),
    )


def _external() -> Backend:
    try:
        settings = ServiceSettings()
    except ValidationError as problems:
        wrong = ", ".join(PREFIX + "__".join(map(str, problem["loc"])).upper() for problem in problems.errors())
        raise StackError(f"The environment cannot be used: look at {wrong}") from None
    return Backend(
        parts=Parts(f"Kafka at {settings.kafka.bootstrap_servers}", f"MongoDB as {PREFIX}MONGO__URI names it"),
        bootstrap_servers=settings.kafka.bootstrap_servers,
        mongo_uri=settings.mongo.uri.get_secret_value(),
        mongo_database=settings.mongo.database,
        settings={name: value for name, value in os.environ.items() if name.startswith(PREFIX)},
    )
