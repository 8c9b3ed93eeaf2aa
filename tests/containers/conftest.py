"""The image, built once, and one composed system, and a secured one, for all tests that only use them."""

from collections.abc import Iterator

import pytest

from tests.support.composed import Composed, build_image, project
from tests.support.secured import Secured, secured


@pytest.fixture(scope="session")
def image() -> str:
    """The product's image."""
    return build_image()


@pytest.fixture(scope="session")
def composed(image: str) -> Iterator[Composed]:
    """The whole system, healthy; for tests that leave it so."""
    with project() as system:
        system.up()
        yield system


@pytest.fixture(scope="package")
def secure(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The whole system over SASL_SSL and TLS; for tests that leave it so."""
    with secured(tmp_path_factory.mktemp("secure")) as running:
        yield running
