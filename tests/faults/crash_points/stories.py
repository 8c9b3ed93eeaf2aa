"""What happens in the world while a process is stopped: together these stories come by every await of the product.

A story runs beside the services. It writes what others write, makes the outside stumble, and waits in between; it knows
nothing of who is stopped, and ends in a state that the model of the world describes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka.errors import KafkaError, KafkaTimeoutError

from shared.contracts.operators import ProgressRecalculate
from shared.contracts.topics import (
    CERTIFICATE_COMMANDS,
    COURSE_COMPLETED,
    LESSON_COMPLETED,
    RECALCULATION_COMMANDS,
    SERVICES,
)
from tests.support.builders import record, signed_token
from tests.support.documents import AWAY
from tests.support.issuer import ed25519_signer
from tests.support.living_arrivals import DEAD_LETTER, RECORD, REJECTION
from tests.support.living_platform import COURSE, OTHER_COURSE
from tests.support.living_world import LivingWorld
from tests.support.scripted_mail_server import MAIL_SERVER_AWAY
from tests.support.scripted_renderer import DEADLY, UNSHOWN


@dataclass(frozen=True)
class Story:
    """What happens, and in which world."""

    tell: Callable[[LivingWorld], Awaitable[None]]
    #: Whose processes are stopped in it.
    victims: tuple[str, ...] = SERVICES
    world: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """In words."""
        size = f", {self.world['batch_size']} at once" if "batch_size" in self.world else ""
        return self.tell.__name__.replace("_", " ") + size


async def commands_good_repeated_refused_and_unreadable(world: LivingWorld) -> None:
    for user_id in ("ada", "bob"):
        world.complete(user_id, "lesson-1")
    world.complete("ada", "lesson-1", partition=1)
    # Handled by the successor while whoever froze over the first ones still holds what was true then.
    await asyncio.sleep(0.3)
    for user_id in ("ada", "bob"):
        world.complete(user_id, "lesson-2")
    world.complete("ada", "lesson-2", headers=(("reply-to", b"somewhere.else"),))
    world.complete("bob", "lesson-1", topic="progress.replays")
    world.command(REJECTION, "preview-1", partition=1)
    world.command(REJECTION, "orphan-1")
    world.command(REJECTION, "lesson-1", "stranger")
    world.command(REJECTION, "lesson-2", authorization=b"Bearer forged", partition=1)
    world.command(DEAD_LETTER, value=b"poison", key=None)
    world.command(DEAD_LETTER, value=None, partition=1)
    world.write(record(headers=[("weird", None), ("ce_id", b"\xff")], value=None, key=None, partition=1), DEAD_LETTER)
    world.foreign("recalculator", LESSON_COMPLETED, b"\xff")
    world.foreign("certificates", COURSE_COMPLETED, None, partition=1)
    await world.quiet()


async def everything_again_from_the_beginning(world: LivingWorld) -> None:
    world.complete("ada", "lesson-1")
    world.complete("ada", "lesson-2")
    await world.quiet()
    world.rewind()
    await world.quiet()


async def operators_recalculate_make_again_and_withdraw(world: LivingWorld) -> None:
    world.platform.learner("bob", f"Bob {UNSHOWN}")
    for user_id in ("ada", "bob"):
        world.complete(user_id, "lesson-1")
        world.complete(user_id, "lesson-2")
    world.complete("ada", "lesson-9")
    await world.quiet()
    world.platform.learner("bob", "Bob")
    world.platform.learner("ada", "Ada King")
    world.generate(f"bob@{COURSE}")
    world.generate(f"ada@{COURSE}", partition=1)
    world.revoke(f"ada@{OTHER_COURSE}")
    [completed, *_] = [e for e in world.log.read(COURSE_COMPLETED) if e.key == f"ada@{OTHER_COURSE}".encode()]
    world.log.add(replace(completed, partition=1))
    world.generate(f"ada@{OTHER_COURSE}")
    world.generate("nobody")
    world.recalculate(f"ada@{COURSE}")
    world.recalculate("nobody")
    world.operator(ProgressRecalculate(enrollment_id=f"bob@{COURSE}"), RECALCULATION_COMMANDS, allowed=False)
    world.foreign("certificates", CERTIFICATE_COMMANDS, b"poison")
    await world.quiet()


async def a_course_changes_while_learners_go_on(world: LivingWorld) -> None:
    world.complete("ada", "lesson-1")
    world.complete("bob", "lesson-1")
    await asyncio.sleep(0.3)
    world.change_course(COURSE, "lesson-1", "lesson-3")
    world.complete("ada", "lesson-3")
    await world.quiet()
    world.change_course(COURSE, "lesson-1")
    world.complete("bob", "lesson-1", partition=1)
    await world.quiet()


async def the_database_stumbles(world: LivingWorld) -> None:
    world.db.failures += [None, None, AWAY, None, AWAY]
    world.complete("ada", "lesson-1")
    world.complete("ada", "lesson-2")
    world.db.lost_answers = 2
    await asyncio.sleep(0.3)
    world.db.away = True
    world.complete("bob", "lesson-1")
    world.complete("bob", "lesson-2", partition=1)
    await asyncio.sleep(1.0)
    world.db.away = False
    world.db.lost_answers = 3
    await world.quiet()


async def the_broker_stumbles(world: LivingWorld) -> None:
    refused = iter([KafkaError(), KafkaTimeoutError(), KafkaError()])
    lost = iter([KafkaTimeoutError(), KafkaTimeoutError(), KafkaTimeoutError()])
    world.outside.refuse = lambda _topic, _value: next(refused, None)
    for service in SERVICES:
        world.outside.commit_failures[service] += [KafkaError(), KafkaTimeoutError()]
    world.complete("ada", "lesson-1")
    world.complete("ada", "lesson-2")
    world.command(REJECTION, "preview-1")
    await asyncio.sleep(0.5)
    world.outside.lose = lambda _topic, _value: next(lost, None)
    world.complete("bob", "lesson-1", partition=1)
    world.command(DEAD_LETTER, value=b"poison")
    await world.quiet()


async def a_learner_meets_a_bug(world: LivingWorld) -> None:
    world.meet_a_bug()
    world.complete("ada", "lesson-1")
    world.complete("ada", "lesson-2")
    await world.quiet()


async def a_page_ends_its_workers(world: LivingWorld) -> None:
    world.platform.learner("bob", f"Bob {DEADLY}")
    world.failed.add(f"bob@{COURSE}")
    world.outside.mail_failures += [MAIL_SERVER_AWAY]
    for user_id in ("bob", "ada"):
        world.complete(user_id, "lesson-1")
        world.complete(user_id, "lesson-2")
    await world.quiet()


async def replicas_come_and_go(world: LivingWorld) -> None:
    world.complete("ada", "lesson-1")
    world.complete("bob", "lesson-1", partition=1)
    seconds = [world.start(service) for service in SERVICES]
    await asyncio.sleep(0.2)
    world.complete("ada", "lesson-2")
    world.complete("bob", "lesson-2", partition=1)
    await world.quiet()
    firsts = [replica for replica in world.replicas if replica not in seconds]
    world.complete("ada", "lesson-9", partition=1)
    await asyncio.gather(*(world.stop(replica) for replica in firsts))
    await world.quiet()


async def two_replicas_make_the_same_certificate(world: LivingWorld) -> None:
    world.start("certificates")
    world.outside.pages.clear()
    world.complete("bob", "lesson-1")
    world.complete("bob", "lesson-2")
    await world.until(lambda: world.log.read(COURSE_COMPLETED))
    [completed, *_] = world.log.read(COURSE_COMPLETED)
    for partition in (0, 1):
        world.log.add(replace(completed, partition=partition))
        # Whoever has its page second finds itself overtaken: here it is the first process, the one that is stopped.
        await asyncio.sleep(0.3)
    world.outside.pages.set()
    await world.quiet()


async def certificates_are_given_back_that_a_restored_database_lacks(world: LivingWorld) -> None:
    for lesson_id in ("lesson-1", "lesson-2", "lesson-9"):
        world.complete("ada", lesson_id)
    await world.quiet()
    world.revoke(f"ada@{OTHER_COURSE}")
    await world.quiet()
    for lost in world.lose_certificates():
        world.operator(lost, CERTIFICATE_COMMANDS)
    await world.quiet()


async def stored_progress_drifts_from_the_facts(world: LivingWorld) -> None:
    world.complete("ada", "lesson-1")
    world.complete("bob", "lesson-1")
    await world.quiet()
    for user_id in ("ada", "bob"):
        world.db["enrollments"].documents[f"{user_id}@{COURSE}"].update(progressPercent=0, completedLessons=0)
    await asyncio.sleep(2.5)
    for user_id in ("ada", "bob"):
        world.recalculate(f"{user_id}@{COURSE}")
    await world.quiet()


async def a_service_ends_while_its_answers_hang(world: LivingWorld) -> None:
    world.outside.silent.add("progress.replies.web")
    first = world.replicas[0]
    world.complete("ada", "lesson-1")
    await world.quiet()
    await world.stop(first)
    world.start("progress")
    world.outside.silent.clear()
    world.complete("ada", "lesson-2")
    await world.quiet()


async def the_issuer_changes_its_keys(world: LivingWorld) -> None:
    newer = ed25519_signer("newer")
    world.complete("ada", "lesson-1")
    await world.quiet()
    world.outside.source.publish(newer)
    world.complete("bob", "lesson-1", authorization=signed_token(newer, "bob"))
    world.recalculate(f"ada@{COURSE}")
    await asyncio.sleep(1.5)
    world.outside.source.failing = True
    await asyncio.sleep(1.5)
    await world.quiet()


STORIES = [
    Story(commands_good_repeated_refused_and_unreadable),
    Story(commands_good_repeated_refused_and_unreadable, world={"batch_size": 3}),
    Story(everything_again_from_the_beginning),
    Story(operators_recalculate_make_again_and_withdraw),
    Story(a_course_changes_while_learners_go_on, world={"page": 1}),
    Story(the_database_stumbles),
    Story(the_broker_stumbles),
    Story(a_learner_meets_a_bug, ("progress",)),
    Story(a_page_ends_its_workers, ("certificates",)),
    Story(replicas_come_and_go),
    Story(stored_progress_drifts_from_the_facts, ("recalculator",)),
    Story(certificates_are_given_back_that_a_restored_database_lacks, ("certificates",)),
    Story(two_replicas_make_the_same_certificate, ("certificates",)),
    Story(a_service_ends_while_its_answers_hang, ("progress",)),
    Story(the_issuer_changes_its_keys, ("progress", "recalculator")),
]

__all__ = ["RECORD", "STORIES", "Story"]
