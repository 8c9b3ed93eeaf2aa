"""A bad deploy: whatever this service does with its records raises. Python runs this before the service."""

import os
from collections.abc import Callable
from typing import Any, NoReturn

from tests.faults.rows.deploys.use_case import replace


def _broken(_work: Callable[..., Any]) -> Callable[..., Any]:
    async def raising(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("a bad deploy")

    return raising


if service := os.environ.get("FAULTS_SERVICE"):
    replace(service, _broken)
