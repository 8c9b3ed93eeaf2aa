"""Starts certificates: `python -m services.certificates`."""

import sys

from services.certificates.app import build_app
from services.certificates.settings import Settings
from shared.commandline import main

if __name__ == "__main__":
    sys.exit(main("certificates", Settings, build_app))
