"""A machine whose clock was set back by so many seconds. Python runs this before the service."""

import os
import time

_BACK_NS = int(float(os.environ.get("FAULTS_SECONDS", "0")) * 1_000_000_000)
_time_ns = time.time_ns


def _earlier_ns() -> int:
    return _time_ns() - _BACK_NS


def _earlier() -> float:
    return _earlier_ns() / 1_000_000_000


time.time_ns, time.time = _earlier_ns, _earlier
