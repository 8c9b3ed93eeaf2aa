"""Services as bad deploys leave them: the same program with one of the folders of `deploys` before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

_FOLDER = Path(__file__).parent / "deploys"
_CHECKOUT = Path(__file__).parents[3]


def deploy(
    kind: Literal["broken", "blocking", "clock"], service: str, *, seconds: float | None = None
) -> Mapping[str, str]:
    """The variables that start this service so; how many `seconds`, where the kind asks for it."""
    variables = {"PYTHONPATH": f"{_FOLDER / kind}:{_CHECKOUT}", "FAULTS_SERVICE": service}
    return variables if seconds is None else {**variables, "FAULTS_SECONDS": str(seconds)}
