"""One JSON line for every record and event, ours and the libraries' alike, written as bytes."""

import logging
import re
import sys
import traceback
from pathlib import Path
from types import CodeType
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.clock import Clock, system_clock
from shared.observability.lines import Lines
from shared.observability.repeats import Repeats

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[a-zA-Z%]")
#: What aiokafka says of connections, whose texts are hosts.
_ADDRESSED = ("Unable connect to ", "Unable to request metadata from ")


def configure(service: str, *, level: str = "info", clock: Clock = system_clock) -> None:
    """Send every log line of this process to standard output as one JSON object.

    `timestamp` is in epoch milliseconds. Lines of libraries keep their logger's name and level, and of their arguments
    only numbers, brokers' addresses and the classes of errors: what a library prints about a record may hold a token.
    Warnings and errors that say the same again are written once a minute, unless the level is debug.
    """

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        event.setdefault("timestamp", clock())
        return event

    lines = Lines(sys.stdout.buffer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            name_failure,
            *([] if level == "debug" else [Repeats()]),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def name_failure(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An error as its class, its cause's class, and its way through the code; never its words.

    What an error says may hold what a sender wrote: drivers quote values, mail servers quote addresses.
    """
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        cause = error.__cause__ or error.__context__
        event["error"] = type(error).__name__
        event["cause"] = type(cause).__name__ if cause is not None else None
        event["stack"] = [_place(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return event


def _place(code: CodeType, line: int) -> str:
    return f"{'/'.join(Path(code.co_filename).parts[-3:])}:{line} {code.co_name}"


def _dumps(event: EventDict, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)


class _Forward(logging.Handler):
    """Hands the libraries' records to the one chain."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line: logger, level, the first line of the message, the error."""
        log = structlog.get_logger()
        method = log.error if record.levelno >= logging.ERROR else log.warning
        method("library", logger=record.name, message=_message(record), exc_info=record.exc_info)


def _message(record: logging.LogRecord) -> str:
    """The first line of what a library says, filled with numbers and with the classes of errors.

    For every other argument stands `…`: only a broker's address is known to hold nothing of a record.
    """
    template = str(record.msg).partition("\n")[0]
    if not record.args:
        return template
    arguments = iter(record.args if isinstance(record.args, tuple) else ())
    addresses = record.name == "aiokafka" and template.startswith(_ADDRESSED)

    def filled(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        match next(arguments, None):
            case BaseException() as error:
                return type(error).__name__
            case int() | float() as number:
                return str(number)
            case str() as address if addresses:
                return address
        return "…"

    return _PLACEHOLDER.sub(filled, template)
