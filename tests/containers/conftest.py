"""The image, built once, and one composed system for all tests that only use it."""

from collections.abc import Iterator

import pytest

from tests.support.composed import Composed, build_image, project


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
