"""Starts the recalculator: `python -m services.recalculator`."""

import sys

from services.recalculator.app import build_app
from services.recalculator.settings import Settings
from shared.commandline import main

if __name__ == "__main__":
    sys.exit(main("recalculator", Settings, build_app))
