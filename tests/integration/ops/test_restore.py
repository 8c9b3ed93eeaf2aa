"""`lesson-progress certificates restore` on a real system: what certificates answers is waited for, and said."""

from collections.abc import Callable

import pytest

from ops.stacks import StackKind
from tests.support.command_line import lesson_progress
from tests.support.system import running_system

pytestmark = pytest.mark.timeout(300)
_RESTORE = ("certificates", "restore", "--since", "2026-01-31T03:00:00Z", "--yes", "--json")


async def test_one_that_is_there_is_counted_and_one_that_another_stands_for_is_named(
    stack_kind: StackKind, record_property: Callable[[str, object], None]
) -> None:
    async with running_system(stack_kind) as system:
        record_property("stack", f"{system.stack.parts.broker} and {system.stack.parts.database}")
        course = await system.campus.course(1)
        learner = await system.campus.learner(course)
        await system.gateway.complete(learner.user_id, course.lessons[0])
        issued = await system.gateway.certificate(learner.enrollment_id)

        there = await lesson_progress(system, *_RESTORE)

        assert (there.code, there.json["answered"], there.json["refused"]) == (0, 1, []), there.err

        certificates = system.campus.db["certificates"]
        document = await certificates.find_one({"_id": issued["certificateId"]})
        await certificates.delete_one({"_id": issued["certificateId"]})
        await certificates.insert_one({**document, "_id": "another"})

        refused = await lesson_progress(system, *_RESTORE)

        assert refused.code == 1
        assert refused.json["refused"] == [
            {
                "enrollmentId": learner.enrollment_id,
                "certificateId": issued["certificateId"],
                "code": 409,
                "reason": "Another certificate exists",
            }
        ]
