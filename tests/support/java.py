"""Programs in Java for tests: jars by their pom, copied once for this user outside the checkout, and compiled anew."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installed import installed

_STEP_SECONDS = 240


def java_missing() -> list[str]:
    """What has to be installed before a program in Java can be compiled and run, as sentences."""
    get = {"java": "a JDK of version 17 or newer", "javac": "a JDK of version 17 or newer", "mvn": "Maven"}
    return [f"{name} is missing: install {what}" for name, what in get.items() if shutil.which(name) is None]


def jars_of(folder: Path) -> Path:
    """The folder with the jars that a pom names; copied there when they are not."""
    pom = folder / "pom.xml"

    def copy(directory: Path) -> None:
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={directory}")
        _run("mvn", "--quiet", "--batch-mode", "--file", str(pom), *goal)

    return installed("java", [pom], copy)


@contextmanager
def classpath_of(folder: Path) -> Iterator[str]:
    """A folder's sources compiled, every warning an error: `java -cp CLASSPATH NAME` runs one."""
    jars = f"{jars_of(folder)}/*"
    with tempfile.TemporaryDirectory() as classes:
        sources = sorted(str(source) for source in folder.glob("*.java"))
        _run("javac", "-Xlint:all", "-Werror", "-encoding", "UTF-8", "-cp", jars, "-d", classes, *sources)
        yield f"{classes}:{jars}"


def _run(*command: str) -> None:
    done = subprocess.run(  # noqa: S603 - a command of our own
        command, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
