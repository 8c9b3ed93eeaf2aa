"""A bad deploy: the first batch blocks the event loop for so many seconds. Python runs this before the service."""

import os
import time
from collections.abc import Callable
from typing import Any

from tests.faults.rows.deploys.use_case import replace


def _blocking(work: Callable[..., Any]) -> Callable[..., Any]:
    left = [float(os.environ["FAULTS_SECONDS"])]

    async def blocked(*arguments: Any, **options: Any) -> Any:
        if left:
            time.sleep(left.pop())  # noqa: ASYNC251 - that is the fault
        return await work(*arguments, **options)

    return blocked


if service := os.environ.get("FAULTS_SERVICE"):
    replace(service, _blocking)
