"""The gateways in other languages, and a whole system on real parts for them to talk to."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from ops.stacks import StackKind
from tests.support.foreign_gateways import LANGUAGES, Programs, ready
from tests.support.system import System, running_system


@pytest.fixture(scope="package")
async def system() -> AsyncIterator[System]:
    async with running_system(StackKind.KAFKA) as running:
        yield running


@pytest.fixture(autouse=True)
def served_by(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    if "system" in request.fixturenames:
        record_property("stack", "Apache Kafka and the Rust server")


@pytest.fixture(params=list(LANGUAGES), scope="session")
def language(request: pytest.FixtureRequest) -> str:
    """The language of a gateway."""
    return str(request.param)


@pytest.fixture(scope="session")
def programs(language: str) -> Iterator[Programs]:
    """Its programs, ready to be run."""
    with ready(language) as programs:
        yield programs
