"""Where programs that were fetched or built once are kept, outside every checkout."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """The product's own directory in the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lesson-progress"
