"""One JSON line for every record and event, ours and the libraries' alike, written as bytes."""

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.clock import Clock, system_clock

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(service: str, *, level: str = "info", clock: Clock = system_clock) -> None:
    """Send every log line of this process to standard output as one JSON object.

    `timestamp` is in epoch milliseconds. Lines of libraries keep their logger's name and level, never their
    arguments: what a library prints about a record may hold a token.
    """

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        event.setdefault("timestamp", clock())
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def _dumps(event: EventDict, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)


class _Forward(logging.Handler):
    """Hands the libraries' records to the one chain."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line: logger, level, the message's template without its arguments, the error's class."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        log = structlog.get_logger()
        method = log.error if record.levelno >= logging.ERROR else log.warning
        method("library", logger=record.name, message=str(record.msg), error=error)
