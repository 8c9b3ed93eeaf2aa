"""Moments as they are typed: so long ago, or a date with its time."""

import re
from datetime import datetime, tzinfo

from ops.errors import OperatorError

_AGO = re.compile(r"(\d{1,6})([smhd])")
_MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]+)?(Z|[+-][\d:]+)?")


def moment(said: str, *, now: int, hint: str, zone: tzinfo | None = None) -> int:
    """A moment in epoch milliseconds: `2h` ago, or an ISO 8601 time, in this zone where it names none.

    `now` is epoch milliseconds; `hint` says what could have been typed.

    Raises:
        OperatorError: it is neither, is older than 1970, or has no zone.
    """
    if found := _AGO.fullmatch(said):
        return now - int(found[1]) * _MILLISECONDS[found[2]]
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        if _DATE.fullmatch(said):
            raise OperatorError(f"{said!r} is no date and time that a calendar and a clock have") from None
        raise OperatorError(f"{said!r} {hint}") from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    if at.tzinfo is None or at.timestamp() < 0:
        raise OperatorError(f"{said!r} {hint}")
    return int(at.timestamp() * 1000)
