"""What a look at those without a certificate costs: an index that the recalculator makes, and a bound."""

import pytest

from services.certificates import storage
from services.certificates.ports import Uncertified
from services.certificates.storage import MongoStore
from services.recalculator.storage import MongoRecalculatorStore
from tests.integration.certificates.conftest import MongoPlatform
from tests.support.database_servers import SERVERS, Room, Servers
from tests.support.issuer import NOW

_INDEX = "completedAt_1"


async def _completions(room: Room) -> MongoStore:
    """Five of them, beside some that are not completed, under the recalculator's indexes."""
    await MongoRecalculatorStore(room.platform, room.settings).prepare()
    platform = MongoPlatform(room.platform)
    for number in range(5):
        await platform.enroll(f"done-{number}", f"learner-{number}", "course-1", completed_at=NOW + number)
        await platform.enroll(f"open-{number}", f"learner-{number}", "course-2", completed_at=None)
    return MongoStore(room.own, room.settings)


@pytest.mark.parametrize("kind", SERVERS)
async def test_of_more_than_a_look_holds_the_latest_are_looked_at(
    servers: Servers, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_LATEST", 3)
    monkeypatch.setattr(storage, "_PAGE", 2)
    async with servers.room(kind, "certificates") as room:
        store = await _completions(room)

        assert await store.uncertified(NOW) == Uncertified([NOW + 4, NOW + 3, NOW + 2], 0)
        assert _INDEX in await room.platform["enrollments"].index_information()


@pytest.mark.containers
async def test_a_look_goes_by_the_index_of_completions(servers: Servers) -> None:
    async with servers.room("container", "certificates") as room:
        store = await _completions(room)

        async def used() -> int:
            [index] = (
                await room.platform["enrollments"]
                .aggregate([{"$indexStats": {}}, {"$match": {"name": _INDEX}}])
                .to_list(None)
            )
            return int(index["accesses"]["ops"])

        before = await used()
        await store.uncertified(NOW)
        assert await used() == before + 1
