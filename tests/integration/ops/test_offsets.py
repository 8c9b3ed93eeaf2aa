"""Reading offsets on a real broker."""

from collections.abc import Callable

import pytest

from ops.offsets import GroupOffsets
from ops.stacks import StackKind, start_stack
from ops.target import from_environment

pytestmark = pytest.mark.timeout(300)


async def test_who_opens_them_and_asks_nothing_goes_on_undisturbed(
    stack_kind: StackKind, record_property: Callable[[str, object], None]
) -> None:
    async with start_stack(stack_kind, services=()) as stack, GroupOffsets(from_environment(stack.environment)):
        record_property("stack", f"{stack.parts.broker} and {stack.parts.database}")
