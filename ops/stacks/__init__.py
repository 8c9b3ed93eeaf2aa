"""Stacks: the services on a broker and a database, started and ended as one."""

from ops.kinds import StackKind
from ops.stacks.backends import Parts, missing_parts
from ops.stacks.failures import StackError
from ops.stacks.running import RunningStack
from ops.stacks.stack import start_stack
from shared.contracts.topics import SERVICES

__all__ = ["SERVICES", "Parts", "RunningStack", "StackError", "StackKind", "missing_parts", "start_stack"]
