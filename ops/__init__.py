"""The operator's room: the `lesson-progress` command and the stacks it starts."""
