"""The database client: durable writes, majority reads, bounded waits, and errors named for what happens next."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import WriteConcern
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern

from shared.errors import Fatal, Transient
from shared.settings import MongoSettings

Database = AsyncIOMotorDatabase[dict[str, Any]]
Client = AsyncIOMotorClient[dict[str, Any]]

_AWAY = (AutoReconnect, ConnectionFailure, NetworkTimeout, ServerSelectionTimeoutError, WTimeoutError, ExecutionTimeout)
#: Unauthorized, AuthenticationFailed: no wait will mend it (MongoDB error codes).
_REFUSED = frozenset({13, 18})
_UNTRUSTED = re.compile(r"certificate verify failed: ([^(]+)")
#: The document is there already (MongoDB error code).
DUPLICATE_KEY = 11000
#: Interrupted, elections, shutdowns, write conflicts, primary lost (MongoDB error codes).
_PASSING = frozenset(
    {
        6,
        7,
        24,
        50,
        64,
        89,
        91,
        100,
        112,
        133,
        134,
        189,
        202,
        234,
        262,
        9001,
        10058,
        10107,
        11600,
        11602,
        13435,
        13436,
        14031,
    }
)


class DatabaseAway(Transient):
    """The database did not answer, or could not say whether it stored what it was given."""


def connect(settings: MongoSettings, *, service: str) -> Client:
    """A client for this service; opens nothing before its first operation.

    Raises:
        Fatal: the address cannot be read.
    """
    try:
        return AsyncIOMotorClient(
            settings.uri.get_secret_value(),
            appname=f"lesson-progress-{service}",
            serverSelectionTimeoutMS=settings.timeout_ms,
            connectTimeoutMS=settings.timeout_ms,
            socketTimeoutMS=4 * settings.timeout_ms,
            retryWrites=False,
            tz_aware=True,
        )
    except OSError as problem:
        file = f" {problem.filename}" if problem.filename else ""
        raise Fatal(
            f"LESSON_PROGRESS_MONGO__URI names a certificate file{file} that cannot be used: {problem.strerror}"
        ) from None
    except (InvalidURI, ConfigurationError, ValueError) as problem:
        raise Fatal(f"LESSON_PROGRESS_MONGO__URI cannot be used: {type(problem).__name__}; mend the address") from None


def database(client: Client, settings: MongoSettings) -> Database:
    """The database, with durable majority writes and majority reads."""
    return client.get_database(
        settings.database,
        write_concern=WriteConcern(w="majority", j=True, wtimeout=4 * settings.timeout_ms),
        read_concern=ReadConcern("majority"),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Give the driver's errors the name of what happens next.

    Raises:
        Transient: the database is away, or its answer was lost.
        Fatal: the database refuses this user, or its certificate is not to be trusted.
    """
    try:
        yield
    except _AWAY as failure:
        if refusal := _refused_at_the_door(failure):
            raise refusal from failure
        raise DatabaseAway(type(failure).__name__) from failure
    except BulkWriteError as failure:
        if _will_pass(failure.details or {}):
            raise DatabaseAway("a bulk of writes was not confirmed") from failure
        raise
    except OperationFailure as failure:
        if failure.code in _REFUSED:
            raise Fatal(
                "the database refuses this service's user "
                f"(error {failure.code}); check LESSON_PROGRESS_MONGO__URI and the user's roles"
            ) from failure
        if failure.code in _PASSING or _repeatable(failure):
            raise DatabaseAway(f"error {failure.code}") from failure
        raise
    except PyMongoError as failure:
        if _repeatable(failure):
            raise DatabaseAway(type(failure).__name__) from failure
        raise


def _refused_at_the_door(failure: PyMongoError) -> Fatal | None:
    """What no waiting mends about the encrypted connection; the driver tells it in its text alone."""
    if not isinstance(failure, ServerSelectionTimeoutError):
        return None
    if untrusted := _UNTRUSTED.search(str(failure)):
        return Fatal(
            f"the certificate of the database is not trusted ({untrusted[1].strip()}); check tlsCAFile in "
            "LESSON_PROGRESS_MONGO__URI and the names in the certificate"
        )
    if "WRONG_VERSION_NUMBER" in str(failure):
        return Fatal("the database does not speak TLS; check its address and `tls` in LESSON_PROGRESS_MONGO__URI")
    return None


def _repeatable(failure: PyMongoError) -> bool:
    labels = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult")
    return any(failure.has_error_label(label) for label in labels)


def _will_pass(details: Mapping[str, Any]) -> bool:
    """Whether a bulk is to be repeated: a write passed over, or a write concern (an unknown outcome), and no worse.

    A duplicate key beside them says only that a repetition finds that document there. Duplicates alone are an answer.
    """
    codes = {error.get("code") for error in details.get("writeErrors", ())}
    if not codes <= _PASSING | {DUPLICATE_KEY}:
        return False
    return codes != {DUPLICATE_KEY} or bool(details.get("writeConcernErrors"))


async def ping(db: Database) -> None:
    """Ask the database for a sign of life.

    Raises:
        Transient: none came.
    """
    with translated():
        await db.command("ping")
