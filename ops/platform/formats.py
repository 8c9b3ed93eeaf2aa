"""Which format a directory is in, and its dataset whichever it is."""

from enum import Enum
from pathlib import Path

from ops.platform.datasets import Dataset
from ops.platform.oulad import read_oulad
from ops.platform.oulad_tables import SUBMISSIONS
from ops.platform.reading import read_platform


class Format(Enum):
    """What the files of a directory look like."""

    OULAD = "oulad"
    PLATFORM = "platform"


def detect(path: Path) -> Format:
    """Tell the format: the Open University's dataset has its submissions, everything else is the platform's own."""
    return Format.OULAD if (path / SUBMISSIONS).exists() else Format.PLATFORM


def read_dataset(path: Path) -> Dataset:
    """Read a directory in the format it has; the platform's own format plans no completions.

    Raises:
        ImportRefused: the files are not as their format asks.
    """
    match detect(path):
        case Format.OULAD:
            return read_oulad(path)
        case Format.PLATFORM:
            return Dataset(read_platform(path))
