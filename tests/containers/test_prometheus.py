"""Prometheus over the composed system: nothing to say of a healthy replay, and a word for each thing that breaks."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.contracts.topics import LESSON_COMPLETED, SERVICES
from tests.support.composed import Composed, Ended, project
from tests.support.eventually import eventually
from tests.support.monitored import ALERTS, RECORDED
from tests.support.oulad import write_school
from tests.support.prometheus import Prometheus, running_prometheus

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900, func_only=True)]

#: How many times shorter the rules' windows are here: a minute is six seconds, three scrapes; what has to last for a
#: minute has to last three times as long, nine scrapes: on a busy machine three in a row may come too late.
TIMES, PATIENCE = 10, 3
LEARNERS, LESSONS, A_SECOND = 60, 8, 40
#: The alerts of what the test breaks.
BROKEN = {"LessonProgressDeadLetters", "LessonProgressCertificateFailed", "LessonProgressServiceDown"}
PORTS = {"progress": 8081, "recalculator": 8082, "certificates": 8083}


@dataclass(frozen=True, slots=True)
class Watched:
    """A composed system, and the Prometheus that watches it."""

    system: Composed
    prometheus: Prometheus

    async def ops(self, folder: Path, *arguments: str) -> None:
        """Run an operator's command that reads a folder of this machine as `/data`."""
        mount = ("run", "--rm", "--no-TTY", "--volume", f"{folder}:/data:ro", "ops")
        ended: Ended = await asyncio.to_thread(self.system.compose, *mount, *arguments)
        assert ended.code == 0, ended.err

    def look_up(self) -> None:
        """Find the services where they are published now, as names would."""
        self.prometheus.point({service: [self.system.address(service, port)] for service, port in PORTS.items()})

    async def fires(self, alert: str) -> str:
        """Wait until an alert fires; answers its link."""
        return (await eventually(lambda: self._firing(alert), within=60))["runbook_url"]

    async def _firing(self, alert: str) -> dict[str, str]:
        return dict((await self.prometheus.firing()).get(alert, {}))

    async def fired(self, since: float) -> set[str]:
        """The alerts that have fired since that moment (epoch seconds)."""
        range_ = f"{max(1, int(time.time() - since))}s"
        fired = await self.prometheus.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{range_}])')
        return {labels["alertname"] for labels, _ in fired}

    async def all_up(self) -> bool:
        return await self.prometheus.up() == dict.fromkeys(SERVICES, "up")

    async def back(self) -> bool:
        return "LessonProgressServiceDown" not in await self.prometheus.firing()

    async def knows_courses(self) -> bool:
        """Whether completion ratios were refreshed since there are courses; that is done once a minute."""
        return await self.had_values("course_id:lesson_progress_course_completion_ratio:max")

    async def uncertified(self) -> float:
        """How many learners wait for a certificate; counted when certificates starts, and once a minute."""
        waiting = await self.prometheus.query("max(lesson_progress_uncertified_enrollments)")
        return waiting[0][1] if waiting else 0

    async def knows_everything(self) -> bool:
        """Whether every recorded series has had values."""
        without = {name for name in RECORDED if not await self.had_values(name)}
        if without:
            print("without values so far:", *sorted(without))  # noqa: T201 - shown when it fails
        return not without

    async def had_values(self, name: str) -> bool:
        """Whether a series has had values; what was not observed has none (NaN)."""
        return bool(await self.prometheus.query(f"count_over_time(({name} >= 0)[10m:2s])"))


@pytest.fixture
def breakable(image: str) -> Iterator[Composed]:
    """A system of its own: what is broken in it stays broken, and what its services have counted goes with it."""
    with project() as system:
        system.up()
        yield system


@pytest.fixture
async def watched(breakable: Composed, tmp_path: Path) -> AsyncIterator[Watched]:
    async with running_prometheus(tmp_path / "prometheus", times=TIMES, patience=PATIENCE) as prometheus:
        watched = Watched(breakable, prometheus)
        watched.look_up()
        yield watched


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """A course of its own, whose learners all finish it."""
    number = secrets.randbelow(10**6)
    lessons = [f"{number}{n}" for n in range(LESSONS)]
    learners = [f"{number}{n:03}" for n in range(LEARNERS)]
    completed = [(lesson, learner, day) for day, lesson in enumerate(lessons) for learner in learners]
    return write_school(
        tmp_path / "school", course=f"P{number}", lessons=lessons, learners=learners, completed=completed
    )


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A platform with one lesson and one learner, whose name no font of ours shows."""
    own, folder = secrets.token_hex(4), tmp_path / "unwritable"
    folder.mkdir()
    documents = {
        "users": {"_id": f"user-{own}", "name": "\U00013080", "email": "maat@example.org"},
        "courses": {"_id": f"course-{own}", "title": "Hieroglyphs"},
        "courseModules": {"_id": f"module-{own}", "courseId": f"course-{own}", "title": "Birds", "order": 1},
        "lessons": {"_id": f"lesson-{own}", "moduleId": f"module-{own}", "title": "The eye", "order": 1},
        "enrollments": {
            "_id": f"enrollment-{own}",
            "userId": f"user-{own}",
            "courseId": f"course-{own}",
            "enrolledAt": 1,
        },
    }
    for name, document in documents.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(document) + "\n")
    return folder


async def test_a_healthy_replay_fills_every_rule_and_raises_nothing_and_each_thing_that_breaks_raises_its_alert(
    watched: Watched, school: Path, unwritable: Path
) -> None:
    # Until the first scrape, every service is down.
    await eventually(watched.all_up, within=60)
    await eventually(watched.back, within=60)
    healthy_at = time.time()

    await watched.ops(school, "replay", "/data", "--stack", "external", "--copies", "1", "--rate", str(A_SECOND))

    await eventually(watched.knows_courses, within=90)
    await eventually(watched.knows_everything, within=30)
    await eventually(watched.all_up, within=30)
    assert {rule["health"] for kind in ("alert", "record") for rule in await watched.prometheus.rules(kind)} == {"ok"}
    assert len(await watched.prometheus.rules("alert")) == len(ALERTS)
    assert await watched.fired(healthy_at) == set()

    await _poison(watched.system)
    assert await watched.fires("LessonProgressDeadLetters") == "docs/runbook.md#dead-letters"

    user, lesson = (json.loads((unwritable / f"{name}.jsonl").read_text())["_id"] for name in ("users", "lessons"))
    await watched.ops(unwritable, "import", "/data")
    await watched.ops(unwritable, "complete", lesson, "--user", user)
    assert await watched.fires("LessonProgressCertificateFailed") == "docs/runbook.md#a-certificate-failed"

    await asyncio.to_thread(watched.system.compose, "kill", "certificates")
    try:
        assert await watched.fires("LessonProgressServiceDown") == "docs/runbook.md#a-service-is-down"
    finally:
        await asyncio.to_thread(watched.system.up, "certificates")
        watched.look_up()

    await eventually(watched.back, within=60)
    assert await eventually(watched.uncertified, within=30)
    fired = await watched.fired(healthy_at)
    assert fired >= BROKEN
    # The learner whose certificate failed waits, on a slow machine long enough to be noticed.
    assert fired - BROKEN <= {"LessonProgressUncertified"}


async def _poison(system: Composed) -> None:
    """Write a record that says nothing of what it is."""
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{system.environment['KAFKA_PORT']}") as producer:
        await producer.send_and_wait(LESSON_COMPLETED, b"\x00not a message", b"nobody")
