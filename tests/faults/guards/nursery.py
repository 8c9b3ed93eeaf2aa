"""A process that has imported the libraries, and none of the product, and forks one for each run of tests.

Importing takes four times as long as a test does. Orders come line by line on standard input, as JSON; for each the
number of the forked process is answered, and then how it ended.
"""

import importlib
import json
import os
import sys
from typing import TypedDict

_LIBRARIES = (
    "pytest", "hypothesis.stateful", "uvloop", "faststream.kafka", "faststream.kafka.prometheus", "aiokafka",
    "aiokafka.admin", "motor.motor_asyncio", "gridfs", "fastapi", "uvicorn", "joserfc.jwk",
    "cryptography.hazmat.primitives.asymmetric.rsa", "structlog", "pydantic_settings", "prometheus_client",
    "aiosmtplib", "typer", "rich.progress", "orjson",
)  # fmt: skip


class Order(TypedDict):
    """One run: pytest's arguments, and the file for what it prints."""

    arguments: list[str]
    printed: str


def main() -> None:
    """Carry out orders until there are no more."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        order: Order = json.loads(line)
        process = os.fork()
        if not process:
            _run(order)
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _run(order: Order) -> None:
    import pytest  # noqa: PLC0415 - imported long before

    os.setsid()
    printed = os.open(order["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream, target in ((0, nothing), (1, printed), (2, printed)):
        os.dup2(target, stream)
    code = 70
    try:
        code = int(pytest.main(order["arguments"]))
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
