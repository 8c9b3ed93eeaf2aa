"""What is asked of the database, and what its errors are called."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from shared.errors import Fatal, Transient
from shared.mongo.client import connect, database, translated
from shared.settings import MongoSettings

SETTINGS = MongoSettings(timeout_ms=700)


def test_a_write_counts_when_a_majority_has_it_on_disk_and_not_for_ever() -> None:
    concern = database(connect(SETTINGS, service="test"), SETTINGS).write_concern
    assert concern.document == {"w": "majority", "j": True, "wtimeout": 2_800}


def test_what_is_read_a_majority_has() -> None:
    assert database(connect(SETTINGS, service="test"), SETTINGS).read_concern.document == {"level": "majority"}


def test_a_database_that_is_away_or_silent_is_noticed_in_seconds() -> None:
    options = connect(SETTINGS, service="test").delegate.options
    assert options.server_selection_timeout == 0.7
    assert options.pool_options.connect_timeout == 0.7
    assert options.pool_options.socket_timeout == 2.8


def test_the_driver_repeats_no_write_behind_our_back() -> None:
    assert connect(SETTINGS, service="test").delegate.options.retry_writes is False


@pytest.mark.parametrize(
    "failure",
    [
        AutoReconnect("connection closed"),
        NetworkTimeout("no answer"),
        ServerSelectionTimeoutError("no server"),
        WTimeoutError("not replicated in time", 64),
        ExecutionTimeout("too long", 50),
        OperationFailure("not primary", 10107),
        OperationFailure("the primary stepped down", 189),
        OperationFailure("shutting down", 91),
        OperationFailure("write conflict", 112),
    ],
    ids=lambda failure: f"{type(failure).__name__} {getattr(failure, 'code', None)}",
)
def test_what_passes_makes_a_record_wait(failure: PyMongoError) -> None:
    with pytest.raises(Exception) as seen, translated():  # noqa: PT011 - its class is what is asked for
        raise failure
    assert issubclass(seen.type, Transient)


@pytest.mark.parametrize("code", [13, 18])
def test_a_user_whom_the_database_refuses_stops_the_service(code: int) -> None:
    with pytest.raises(Exception) as seen, translated():  # noqa: PT011 - its class is what is asked for
        raise OperationFailure("not authorized", code)
    assert issubclass(seen.type, Fatal)
    assert "check LESSON_PROGRESS_MONGO__URI" in str(seen.value)
