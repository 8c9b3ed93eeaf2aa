"""A store in memory with one course of ten lessons and one learner in it."""

import pytest

from tests.support.fakes_recalculator import FakeRecalculatorStore

LESSONS = [f"lesson-{n}" for n in range(10)]


@pytest.fixture
async def store() -> FakeRecalculatorStore:
    fake = FakeRecalculatorStore()
    await fake.course("course-1", LESSONS, previews=["preview-1"])
    await fake.enroll("enrollment-1", "learner-1", "course-1")
    return fake
