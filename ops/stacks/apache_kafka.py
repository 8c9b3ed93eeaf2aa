"""Apache Kafka on the JVM: one KRaft node, its configuration written anew at each start."""

import base64
import shutil
import uuid
from functools import partial
from pathlib import Path
from string import Template

from ops.stacks.home import Home
from ops.stacks.jars import DEPLOY, VERSION, fetch_jars, jars_missing
from ops.stacks.ports import HOST, Ports
from ops.stacks.programs import Program, Programs
from ops.stacks.readiness import broker_answers

#: A broker that keeps its own time, and that wakes a waiting fetch when a record comes.
SETTINGS = {"LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME": "true"}
_TITLE = f"Apache Kafka {VERSION}"
_LOG_LEVEL = "-Dorg.apache.logging.log4j.level=WARN"
#: Compiled quickly rather than well: thoroughly, a young broker spends more on compiling itself than on its records.
_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", _LOG_LEVEL)
_SERVER = ("-Xmx512m", *_JVM)
_TOOL = ("-Xmx128m", *_JVM)


def missing() -> list[str]:
    """What has to be installed before it can start, as sentences."""
    java = [] if shutil.which("java") else [f"{_TITLE} needs Java: install a JRE of version 17 or newer"]
    if not DEPLOY.is_dir():  # an installed wheel has the packages alone
        return [f"{_TITLE} is set up from {DEPLOY}, which is not there: start this stack from a checkout", *java]
    return java + jars_missing()


async def apache_kafka(home: Home, programs: Programs, ports: Ports) -> Program:
    """The broker, its jars fetched and its directory formatted.

    Raises:
        StackError: one of these steps failed.
    """
    jars = await fetch_jars(programs)
    port = ports.of("broker")
    template = Template((DEPLOY / "server.properties").read_text())
    configuration = template.substitute(broker_port=port, controller_port=ports.of("controller"))
    (home.broker / "server.properties").write_text(configuration)
    if not (home.broker / "data" / "meta.properties").exists():
        await _format(home.broker, programs, jars)
    return Program(
        name="broker",
        title=_TITLE,
        command=("java", *_SERVER, "-cp", f"{jars}/*", "kafka.Kafka", "server.properties"),
        address=f"{HOST}:{port}",
        answers=partial(broker_answers, HOST, port),
        directory=home.broker,
    )


async def _format(directory: Path, programs: Programs, jars: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    format_it = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", "server.properties")
    command = ("java", *_TOOL, "-cp", f"{jars}/*", *format_it)
    await programs.run("format", f"{_TITLE}'s StorageTool", command, directory=directory, patience_seconds=120)
