"""One system for the whole suite: tests make learners and courses of their own in it."""

from collections.abc import AsyncIterator

import pytest

from ops.stacks import StackKind
from tests.support.campus import Campus
from tests.support.gateway import Gateway
from tests.support.system import System, running_system


@pytest.fixture(scope="package")
async def system(stack_kind: StackKind) -> AsyncIterator[System]:
    async with running_system(stack_kind) as running:
        yield running


@pytest.fixture(autouse=True)
def served_by(request: pytest.FixtureRequest, record_property: pytest.FixtureDef[object]) -> None:
    if "system" in request.fixturenames:
        parts = request.getfixturevalue("system").stack.parts
        record_property("stack", f"{parts.broker} and {parts.database}")  # type: ignore[operator]


@pytest.fixture
def gateway(system: System) -> Gateway:
    return system.gateway


@pytest.fixture
def campus(system: System) -> Campus:
    return system.campus
