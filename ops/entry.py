"""Where `lesson-progress` begins: Ctrl-C is a sentence already while the command is being read."""

import sys


def main() -> None:
    """Read the command, and run it."""
    try:
        from ops.cli import main as command  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.stderr.write("lesson-progress: interrupted; nothing was changed\n")
        sys.exit(130)
    command()
