"""Drives the gateways in other languages: makes each ready once, runs its programs, and hears what they say."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.settings import KafkaSettings
from tests.support.campus import Campus, Learner
from tests.support.java import classpath_of, java_missing
from tests.support.node import node_missing, program_of
from tests.support.parts import needs

FOLDER = Path(__file__).parents[1] / "contract" / "gateways"
#: What a program sees of this process' environment: nothing that could configure it behind the test's back.
_PASSED_ON = ("PATH", "HOME", "LANG")
_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Said:
    """What a program printed, and its exit code."""

    code: int
    lines: list[str]
    errors: str


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one language, ready to be run."""

    #: The words that run a program, by its name in Java's spelling.
    command: Callable[[str], tuple[str, ...]]

    async def run(self, program: str, environment: Mapping[str, str], *, given: str = "") -> Said:
        """Run a program to its end with these variables, and `given` on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *self.command(program),
            env={**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(given.encode()), _SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Said(process.returncode, out.decode().splitlines(), err.decode())


@contextmanager
def _node() -> Iterator[Programs]:
    with program_of(FOLDER / "node") as program:
        yield Programs(lambda name: ("node", str(program / f"{name.lower()}.js")))


@contextmanager
def _java() -> Iterator[Programs]:
    with classpath_of(FOLDER / "java") as classpath:
        quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        yield Programs(lambda name: ("java", *quick, "-Dfile.encoding=UTF-8", "-cp", classpath, name))


#: How programs of a language are made ready, and what is missing for that here.
LANGUAGES = {"node": (_node, node_missing), "java": (_java, java_missing)}


#: What each language's conversation is about on the small platform of `examples/platform`.
ON_THE_EXAMPLE = {
    "node": {
        "USER_ID": "learner-maya",
        "COURSE": "course-bread",
        "LESSON": "bread-basics-1",
        "NEXT_LESSON": "bread-basics-2",
        "LESSON_OF_ANOTHER_COURSE": "astronomy-sky-1",
        "PREVIEW_LESSON": "bread-basics-0",
    },
    "java": {
        "USER_ID": "learner-eleni",
        "COURSE": "course-astronomy",
        "LESSON": "astronomy-sky-1",
        "NEXT_LESSON": "astronomy-sky-2",
        "LESSON_OF_ANOTHER_COURSE": "bread-basics-1",
        "PREVIEW_LESSON": "bread-basics-0",
    },
}


def secured(gateway: KafkaSettings, screens: KafkaSettings) -> dict[str, str]:
    """What tells a conversation how to log in: as the gateway, and as who reads for the screens."""
    return {
        "BROKER": gateway.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": gateway.security_protocol,
        "KAFKA_SASL_MECHANISM": gateway.sasl_mechanism,
        "KAFKA_USERNAME": gateway.username,
        "KAFKA_PASSWORD": gateway.password.get_secret_value(),
        "KAFKA_CA_FILE": str(gateway.ca_file),
        "SCREENS_USERNAME": screens.username,
        "SCREENS_PASSWORD": screens.password.get_secret_value(),
    }


@contextmanager
def ready(language: str) -> Iterator[Programs]:
    """The programs of a language; what is missing for them skips the test, and fails it in CI."""
    prepared, missing = LANGUAGES[language]
    needs(missing())
    with prepared() as programs:
        yield programs


async def conversation(campus: Campus, mint: Callable[[str], str]) -> tuple[dict[str, str], Learner]:
    """What a conversation is about: a new learner in a new course, and lessons that cannot be completed."""
    course = await campus.course(3, preview=1)
    lost, elsewhere = await campus.course(1), await campus.course(1)
    await campus.db["courseModules"].delete_one({"_id": lost.modules[0]})
    learner = await campus.enroll(f"Zoë/学习者 {secrets.token_hex(6)}", course)
    about = {
        "USER_ID": learner.user_id,
        "TOKEN": mint(learner.user_id),
        "COURSE": course.id,
        "LESSON": course.lessons[0],
        "NEXT_LESSON": course.lessons[1],
        "LESSON_WITHOUT_MODULE": lost.lessons[0],
        "LESSON_OF_ANOTHER_COURSE": elsewhere.lessons[0],
        "PREVIEW_LESSON": f"{course.id}-p0",
    }
    return about, learner
