"""The image, built once."""

import pytest

from tests.support.composed import build_image


@pytest.fixture(scope="session")
def image() -> str:
    """The product's image."""
    return build_image()
