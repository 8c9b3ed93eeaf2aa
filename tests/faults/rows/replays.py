"""Dead letters sent again, by the operator's own command."""

from collections.abc import Sequence

from tests.faults.rows.run import Run
from tests.support.command_line import lesson_progress
from tests.support.gateway import Seen


def first_position(letter: Seen) -> str:
    """Where the record of a dead letter stood, as the command names it."""
    parts = (letter.headers[f"x-dead-letter-{part}"] or b"" for part in ("topic", "partition", "offset"))
    return ":".join(part.decode() for part in parts)


async def replayed(run: Run, service: str, letters: Sequence[Seen]) -> None:
    """Send these dead letters again, and wait until their service has finished and committed them."""
    positions = sorted({first_position(letter) for letter in letters})
    ended = await lesson_progress(
        run.lane.system, "dead-letters", "replay", *positions, "--service", service, "--rate", "1000", "--yes"
    )
    assert ended.code == 0, f"dead-letters replay: {ended.err.strip().splitlines()[-1:]}"
    await run.lane.drained([service])
