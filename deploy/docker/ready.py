"""Asks the service of this container whether it is ready, for the image's HEALTHCHECK; the standard library alone.

Which service it is says the command of process 1, and where it listens say the variables that the image sets. A
container that runs something else has nothing to ask.
"""

# ruff: noqa: INP001 - a program by itself, in no package

import http.client
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 4.0
_ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - where a service listens, not this


def service_of(command: bytes) -> str | None:
    """The service that this command line starts, its words parted by NUL as in /proc; None when it starts none."""
    found = re.search(rb"(?:^|\0)services\.([a-z]+)(?:\0|$)", command)
    return found[1].decode() if found else None


def address_of(service: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Where this service listens."""
    http_settings = f"LESSON_PROGRESS_{service.upper()}__HTTP__"
    host = environment.get(f"{http_settings}HOST", "")
    return "127.0.0.1" if host in _ANY_ADDRESS else host, int(environment[f"{http_settings}PORT"])


def ask(host: str, port: int) -> str | None:
    """What keeps the service there from being ready; None when nothing does."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as failure:
        return f"nothing answers at {host}:{port} ({type(failure).__name__})"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else body


def main() -> int:
    """Answer as HEALTHCHECK wants it: 0 is healthy."""
    service = service_of(Path("/proc/1/cmdline").read_bytes())
    problem = ask(*address_of(service, os.environ)) if service else None
    if problem:
        sys.stdout.write(f"{problem}\n")
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main())
