"""One secured system for all tests that leave it as it was."""

from collections.abc import Iterator

import pytest

from tests.support.secured import Secured, secured


@pytest.fixture(scope="package")
def secure(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The whole system over SASL_SSL and TLS; for tests that leave it so."""
    with secured(tmp_path_factory.mktemp("secure")) as running:
        yield running
