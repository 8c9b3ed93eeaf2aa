"""Stacks: the services on a broker and a database, started and ended as one."""

from ops.stacks.backends import Parts, missing_parts
from ops.stacks.failures import StackError
from ops.stacks.kinds import StackKind
from ops.stacks.running import SERVICES, RunningStack
from ops.stacks.stack import start_stack

__all__ = ["SERVICES", "Parts", "RunningStack", "StackError", "StackKind", "missing_parts", "start_stack"]
