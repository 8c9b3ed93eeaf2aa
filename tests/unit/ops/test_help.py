"""Help is there at once: nothing is imported that only work needs."""

import subprocess
import sys

import pytest

_DRIVERS = ("aiokafka", "fastapi", "faststream", "motor", "pymongo", "uvicorn", "httpx")


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["token", "maya"]])
def test_help_and_token_import_no_driver_and_no_framework(arguments: list[str]) -> None:
    source = f"""
import sys
sys.argv = ["lesson-progress", *{arguments}]
from ops.cli import main
try:
    main()
except SystemExit:
    pass
print([name for name in {_DRIVERS} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)  # noqa: S603

    assert ended.stdout.splitlines()[-1] == "[]"
