"""Apache Kafka's jars: copied by Maven into a cache once, for every stack of this user."""

import os
import shutil
from pathlib import Path

from ops.stacks.cache import cache_directory
from ops.stacks.failures import StackError
from ops.stacks.locks import locked
from ops.stacks.programs import Programs

VERSION = "4.1.1"
#: What the broker is made from: the jars' list and the configuration's template.
DEPLOY = Path(__file__).parents[2] / "deploy" / "kafka"
_VARIABLE = "LESSON_PROGRESS_KAFKA_LIBS"
_PATIENCE_SECONDS = 600.0


def jars_missing() -> list[str]:
    """What has to be installed before the jars can be fetched, as sentences; nothing once they are there."""
    if _complete(_directory()) or shutil.which("mvn"):
        return []
    get = f"install Maven, which fetches them, or name a directory that holds them by {_VARIABLE}"
    return [f"Apache Kafka {VERSION}'s jars are missing: {get}"]


async def fetch_jars(programs: Programs) -> Path:
    """The directory with the jars, filled when it is not there.

    Raises:
        StackError: they could not be fetched.
    """
    jars = _directory()
    if _complete(jars):
        return jars
    if shutil.which("mvn") is None:
        raise StackError(f"{jars_missing()[0]}.")
    if jars.is_dir() and any(jars.iterdir()):
        raise StackError(
            f"{jars} holds no complete set of Kafka {VERSION}'s jars: remove it, or name another by {_VARIABLE}"
        )
    jars.parent.mkdir(parents=True, exist_ok=True)
    lock = jars.with_name(f".{jars.name}.lock")
    busy = f"Another process has been fetching Kafka's jars into {jars} for too long"
    async with locked(lock, seconds=_PATIENCE_SECONDS, busy=busy):
        if not _complete(jars):
            await _copy(programs, jars)
    return jars


async def _copy(programs: Programs, jars: Path) -> None:
    """Copy them beside their place, then move them there at once: half a set is never seen."""
    unfinished = jars.with_name(f".{jars.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    programs.tell(f"Maven copies Apache Kafka {VERSION}'s jars into {jars}, once")
    command = (
        *("mvn", "--quiet", "--batch-mode", "--file", str(DEPLOY / "pom.xml"), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"),
    )
    await programs.run("maven", "Maven", command, directory=jars.parent, patience_seconds=_PATIENCE_SECONDS)
    if not _complete(unfinished):
        raise StackError(f"Maven did not copy Kafka's jars into {unfinished}")
    unfinished.rename(jars)


def _complete(jars: Path) -> bool:
    return (jars / f"kafka_2.13-{VERSION}.jar").is_file()


def _directory() -> Path:
    named = os.environ.get(_VARIABLE)
    return Path(named).expanduser().resolve() if named else cache_directory() / f"kafka-{VERSION}"
