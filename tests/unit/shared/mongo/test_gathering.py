"""Questions asked at once are one read, and no answer is older than its question."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from shared.errors import Fatal, Transient
from shared.mongo.gathering import Gathered


class Books:
    """A read that takes as long as the test says."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.open = asyncio.Event()
        self.failures: list[Exception] = []
        self.torn: str | None = None

    async def read(self, keys: Collection[str]) -> Mapping[str, str]:
        self.asked.append(set(keys))
        await self.open.wait()
        if self.failures:
            raise self.failures.pop()
        if self.torn in keys:
            raise KeyError(self.torn)
        return {key: f"{key} in read {len(self.asked)}" for key in keys if key != "unknown"}


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lone_question_is_asked_at_once() -> None:
    books = Books()
    books.open.set()

    assert await Gathered(books.read).get("a") == "a in read 1"
    assert books.asked == [{"a"}]


async def test_questions_that_come_during_a_read_are_the_next_read() -> None:
    books = Books()
    gathered = Gathered(books.read)
    first = asyncio.create_task(gathered.get("a"))
    await turns()
    later = [asyncio.create_task(gathered.get(key)) for key in ("a", "b", "b", "unknown")]
    await turns()

    books.open.set()

    assert await first == "a in read 1"
    assert await asyncio.gather(*later) == ["a in read 2", "b in read 2", "b in read 2", None]
    assert books.asked == [{"a"}, {"a", "b", "unknown"}]


async def test_more_questions_than_a_read_takes_are_several_reads() -> None:
    books = Books()
    books.open.set()
    gathered = Gathered(books.read, keys_per_read=2)

    answers = await asyncio.gather(*(gathered.get(key) for key in "abcde"))

    assert answers == ["a in read 1", "b in read 1", "c in read 2", "d in read 2", "e in read 3"]
    assert books.asked == [{"a", "b"}, {"c", "d"}, {"e"}]


@pytest.mark.parametrize("failure", [Transient("away"), Fatal("refused")], ids=repr)
async def test_an_outage_answers_every_question_of_its_read_and_no_later_one(failure: Exception) -> None:
    books = Books()
    books.failures = [failure]
    gathered = Gathered(books.read)
    asked = [asyncio.create_task(gathered.get(key)) for key in "ab"]
    await turns()
    later = asyncio.create_task(gathered.get("a"))
    await turns()

    books.open.set()

    assert await asyncio.gather(*asked, return_exceptions=True) == [failure, failure]
    assert await later == "a in read 2"
    assert books.asked == [{"a", "b"}, {"a"}]


async def test_one_torn_page_is_the_failure_of_its_question_alone() -> None:
    books = Books()
    books.open.set()
    books.torn = "b"
    gathered = Gathered(books.read)

    a, b, c = await asyncio.gather(*(gathered.get(key) for key in "abc"), return_exceptions=True)

    assert (str(a)[:1], type(b), str(c)[:1]) == ("a", KeyError, "c")
    assert await gathered.get("d") == "d in read 5"


async def test_a_slow_read_loses_none_of_the_questions_behind_it() -> None:
    books = Books()
    gathered = Gathered(books.read, keys_per_read=2)
    asked = [asyncio.create_task(gathered.get(f"{number}")) for number in range(7)]
    await turns()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gathered.get("0"), 0.01)

    books.open.set()

    assert [str(answer)[:1] for answer in await asyncio.gather(*asked)] == list("0123456")


async def test_a_reading_that_is_stopped_leaves_nobody_waiting() -> None:
    books = Books()
    gathered = Gathered(books.read)
    asked = asyncio.create_task(gathered.get("a"))
    await turns()
    behind = asyncio.create_task(gathered.get("b"))
    await turns()
    assert gathered._reading is not None

    gathered._reading.cancel()

    with pytest.raises(Transient):
        await asked
    books.open.set()
    assert await gathered.get("c") == "c in read 2"
    assert await behind == "b in read 2"


async def test_who_goes_away_takes_no_answer_from_others() -> None:
    books = Books()
    gathered = Gathered(books.read)
    gone, stays = asyncio.create_task(gathered.get("a")), asyncio.create_task(gathered.get("a"))
    await turns()

    gone.cancel()
    books.open.set()

    assert await stays == "a in read 1"
    with pytest.raises(asyncio.CancelledError):
        await gone
