"""What drivers and the system say when they fail, as sentences for the operator.

The drivers are imported only when there is a failure to name: most commands never need them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ops.errors import OperatorError
from shared.errors import Fatal, Transient

_AGAIN = "see that it is up, and run the command again"


def sentence_of(failure: Exception) -> str | None:
    """The sentence about a failure that nobody translated where it happened; None for what only a bug explains."""
    import sqlite3  # noqa: PLC0415 - see above

    from aiokafka.errors import KafkaError  # noqa: PLC0415 - see above
    from pymongo.errors import PyMongoError  # noqa: PLC0415 - see above

    # What the disk, not our SQL, is to blame for.
    of_the_disk = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
    match failure:
        case OperatorError() | Fatal() | Transient():
            return str(failure)
        case KafkaError():
            return f"the broker failed ({type(failure).__name__}); {_AGAIN}"
        case PyMongoError():
            return f"the database failed ({type(failure).__name__}); {_AGAIN}"
        case sqlite3.OperationalError() if failure.sqlite_errorcode & 0xFF in of_the_disk:
            return f"the temporary index cannot be kept on disk ({failure}); set TMPDIR to a folder with room for it"
        case OSError():
            place = f"{failure.filename}: " if failure.filename is not None else ""
            return f"{place}{failure.strerror or type(failure).__name__}; mend that, and run the command again"
    return None


@contextmanager
def broker_named(servers: str) -> Iterator[None]:
    """Turn the failures of a broker that had answered into one sentence.

    Raises:
        OperatorError: instead of any of them.
    """
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - see above

    try:
        yield
    except KafkaError as failure:
        sentence = f"the broker at {servers} failed ({type(failure).__name__}); what it took will be handled: {_AGAIN}"
        raise OperatorError(sentence) from failure


@contextmanager
def database_named() -> Iterator[None]:
    """Turn the failures of a database that had answered into one sentence.

    Raises:
        OperatorError: instead of any of them.
    """
    from pymongo.errors import PyMongoError  # noqa: PLC0415 - see above

    try:
        yield
    except (PyMongoError, Transient) as failure:
        # A translated failure hides the driver's own name for it, which says more.
        cause = failure.__cause__ if isinstance(failure.__cause__, PyMongoError) else failure
        raise OperatorError(f"the database failed ({type(cause).__name__}); {_AGAIN}") from failure
