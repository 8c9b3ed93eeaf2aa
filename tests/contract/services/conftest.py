"""Kafka and a database in containers, in which one service at a time is alone with its neighbours."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.alone import Neighbourhood, neighbourhood
from tests.support.containers import containers_of
from tests.support.database_servers import contained_name


@pytest.fixture(scope="session")
async def around(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Neighbourhood]:
    async with neighbourhood(containers_of(request.config), tmp_path_factory.mktemp("identity")) as ready:
        yield ready


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> str:
    """What the database server says it is."""
    return contained_name(containers_of(request.config).mongo)


@pytest.fixture(autouse=True)
def served_by(server: str, record_property: Callable[[str, object], None]) -> None:
    record_property("stack", f"Apache Kafka and {server}")
