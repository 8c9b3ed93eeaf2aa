"""Certificates stopped before and after every single effect, or frozen there while another replica takes over."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from shared.contracts.topics import CERTIFICATE_ISSUED, NOTIFICATION_CREATED, consumed_by
from tests.support.certifying import Certifying, course_completed, generate, published, revoke, sameness
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeTypesetter, academy, numbered_ids
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.steps import Steps

COMPLETED, AGAIN, RENAMED, REVOKED = (f"enrollment-{name}" for name in ("completed", "again", "renamed", "revoked"))


@dataclass
class World:
    """What outlives a process: a completion that comes twice, a failed certificate and an issued one to be made again,
    and one that is revoked while its completion is repeated."""

    steps: Steps = field(default_factory=Steps)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.log = FakeLog(self.clock, partitions=2)
        self.store = academy(COMPLETED, AGAIN, RENAMED, REVOKED)
        self.new_id = numbered_ids()

    async def begin(self) -> None:
        await self._issued(RENAMED, REVOKED)
        self.store.users.clear()
        await self._issued(AGAIN)
        await self.store.user("learner-1", "Ada King")
        self.log = FakeLog(self.clock, partitions=2)
        self.store.steps = self.steps
        self.log.add(
            course_completed(COMPLETED),
            course_completed(COMPLETED, partition=1),
            course_completed(REVOKED),
            generate(AGAIN),
            generate(RENAMED, partition=1),
            revoke(REVOKED, timestamp=NOW + 7),
        )

    async def _issued(self, *enrollment_ids: str) -> None:
        self.log.add(*(course_completed(key) for key in enrollment_ids))
        await Certifying(self.log, self.store, self.clock, new_id=self.new_id).process.run()

    def replica(self) -> Certifying:
        typesetter = FakeTypesetter(self.steps)
        return Certifying(self.log, self.store, self.clock, typesetter=typesetter, new_id=self.new_id, steps=self.steps)

    async def crashed(self, at: int | None) -> None:
        """One process until everything is done, or until it is stopped, and then the next one."""
        self.steps.at = at
        first = self.replica()
        life = asyncio.create_task(first.process.run())

        async def stop() -> None:
            life.cancel()
            await asyncio.sleep(0)

        self.steps.stop = stop
        await asyncio.wait({life})
        first.process.crash()
        if not life.cancelled():
            life.result()
        if at is not None:
            self.steps.at = None
            await self.replica().process.run()

    async def frozen(self, at: int) -> None:
        """One process that is frozen until another has taken over and done everything, and then goes on."""
        frozen, thawed = asyncio.Event(), asyncio.Event()

        async def stop() -> None:
            frozen.set()
            await thawed.wait()

        self.steps.at, self.steps.stop = at, stop
        zombie = asyncio.create_task(self.replica().process.run())
        await frozen.wait()
        self.clock.move(1000)
        await self.replica().process.run()
        thawed.set()
        await zombie


def _check(world: World) -> None:
    """One certificate and one notification of each kind, all of it told, committed; the same event is the same."""
    store, log = world.store, world.log
    certificates = store.stored
    assert {key: c.status for key, c in certificates.items()} == {
        COMPLETED: "issued",
        AGAIN: "issued",
        RENAMED: "issued",
        REVOKED: "revoked",
    }
    assert certificates[REVOKED].revoked_at == NOW + 7
    for key in (COMPLETED, AGAIN, RENAMED):
        assert store.files[certificates[key].file_id or ""].startswith(b"Ada King|")
    assert set(store.files) == {certificate.file_id for certificate in certificates.values()}
    assert Counter(n.kind for n in store.notifications.values()) == {"course_completed": 4, "certificate_ready": 4}
    told = [data for _, data in published(log, NOTIFICATION_CREATED)]
    handled = {n.notification_id for n in store.notifications.values() if n.notification_id}
    assert {data["notificationId"] for data in told} == handled
    issued = {data["certificateId"] for kind, data in published(log, CERTIFICATE_ISSUED) if "issued" in str(kind)}
    assert issued == {certificate.certificate_id for certificate in certificates.values()}
    [revocation] = {str(data) for kind, data in published(log, CERTIFICATE_ISSUED) if "revoked" in str(kind)}
    assert certificates[REVOKED].certificate_id in revocation
    assert all(len(copies) == 1 for copies in sameness(log).values())
    assert len(sameness(log)) == len(certificates) + 1 + len(store.notifications)
    assert log.behind(consumed_by("certificates")) == {}
    assert log.read("certificates.deadletters") == []


async def _crashed(at: int | None) -> World:
    world = World()
    await world.begin()
    await world.crashed(at)
    return world


async def _frozen(at: int) -> World:
    world = World()
    await world.begin()
    await world.frozen(at)
    return world


async def test_without_a_crash_everything_is_right_in_the_end() -> None:
    _check(await _crashed(None))


async def test_a_crash_at_any_step_is_repaired_by_the_next_process() -> None:
    steps = len((await _crashed(None)).steps.names)
    assert steps > 40
    for at in range(steps):
        world = await _crashed(at)
        try:
            _check(world)
        except AssertionError as failure:
            raise AssertionError(f"stopped at {at}, {world.steps.names[at]}") from failure


async def test_a_process_frozen_at_any_step_does_no_harm_when_it_goes_on_after_another_took_over() -> None:
    steps = len((await _crashed(None)).steps.names)
    for at in range(steps):
        world = await _frozen(at)
        try:
            _check(world)
        except AssertionError as failure:
            raise AssertionError(f"frozen at {at}, {world.steps.names[at]}") from failure
