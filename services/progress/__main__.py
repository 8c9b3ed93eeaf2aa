"""Starts progress: `python -m services.progress`."""

import sys

from services.progress.app import build_app
from services.progress.settings import Settings
from shared.commandline import main

if __name__ == "__main__":
    sys.exit(main("progress", Settings, build_app))
