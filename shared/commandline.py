"""How a service process is started: `python -m services.<name> [--settings]`."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from shared.errors import Fatal
from shared.observability.logging import configure
from shared.service import Service, run_until_signalled
from shared.settings import ServiceSettings, listing

S = TypeVar("S", bound=ServiceSettings)


def main(name: str, settings_type: type[S], build: Callable[[S], Service]) -> int:
    """Run the service, or list its settings; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{name}", description=f"The {name} service of Lesson Progress."
    )
    parser.add_argument("--settings", action="store_true", help="list every setting and end")
    parser.add_argument("--json", action="store_true", help="with --settings: as JSON")
    arguments = parser.parse_args()
    if arguments.settings:
        _list(settings_type, as_json=arguments.json)
        return 0
    try:
        settings = settings_type()
    except ValidationError as error:
        for problem in error.errors():
            variable = "LESSON_PROGRESS_" + "__".join(str(part).upper() for part in problem["loc"])
            sys.stderr.write(f"{variable}: {problem['msg'].removeprefix('Value error, ')}\n")
        return 2
    configure(name, level=settings.log.level)
    try:
        return run_until_signalled(lambda: build(settings))
    except Fatal as failure:
        sys.stderr.write(f"{failure}\n")
        return 1


def _list(settings_type: type[ServiceSettings], *, as_json: bool) -> None:
    rows = list(listing(settings_type))
    if as_json:
        entries = [{"variable": v, "default": d, "description": text} for v, d, text in rows]
        sys.stdout.write(json.dumps(entries, indent=2) + "\n")
        return
    for variable, default, text in rows:
        sys.stdout.write(f"{variable}\n    {text} (default: {default})\n")
