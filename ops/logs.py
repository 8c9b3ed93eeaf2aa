"""What the services' own code has to say while a command runs it: on standard error, and never an error's words."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("aiokafka", "pymongo")


@contextmanager
def said_to_people() -> Iterator[None]:
    """Let warnings and errors go where people read, since standard output holds results alone.

    An error is its class and its way through the code: its words, and what stood in variables then, may hold a token.
    """
    import structlog  # noqa: PLC0415 - with the drivers, when a command runs

    from shared.observability.logging import name_failure  # noqa: PLC0415 - the same

    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            name_failure,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Of itself a library writes on standard error; what failed is said in the command's own sentence.
    silence = logging.NullHandler()
    for name in _LIBRARIES:
        logging.getLogger(name).addHandler(silence)
    try:
        yield
    finally:
        for name in _LIBRARIES:
            logging.getLogger(name).removeHandler(silence)
        structlog.configure(**before)
