"""The trials of endurance can say no: a flood, a rise of memory, a swallowed record, a brake that does not hold."""

import asyncio
import json
import time

import pytest

from ops.stacks import SERVICES
from ops.stacks.ports import HOST
from shared.contracts.envelope import Malformed
from shared.contracts.envelope import read as read_envelope
from shared.kafka.batches import Outgoing
from tests.bench.figures import Bar, Figure
from tests.bench.plan import Finding
from tests.faults.endurance import __main__ as endurance
from tests.faults.endurance.backlog_verdict import figures, undrained
from tests.faults.endurance.brake import brake
from tests.faults.endurance.commands import Pupils
from tests.faults.endurance.lines import Bound, Line, read
from tests.faults.endurance.others import Others
from tests.faults.endurance.poison import SPOILED, spoil
from tests.faults.endurance.sampling import Sample, Samples, memory
from tests.faults.endurance.trial import Trial


def line(text: str, level: str = "warning", *, traceback: bool = False) -> Line:
    return Line(level, text, traceback=traceback)


def test_a_log_that_says_too_much_or_the_same_again_is_a_flood() -> None:
    bound = Bound(lines=3, repeats=2)

    assert bound.broken_by([line("a"), line("a"), line("b"), *(line("handled", "info") for _ in range(99))]) == []
    assert bound.broken_by([line(str(n)) for n in range(4)]) == ["4 lines of warning or error"]
    assert bound.broken_by([line("a")] * 3) == ["'a' 3 times"]
    assert bound.broken_by([line("a", traceback=True)]) == ["1 tracebacks"]


def test_a_line_that_is_no_json_counts_as_an_error_nobody_named() -> None:
    assert read("Traceback (most recent call last):") == Line("error", "Traceback (most recent call last):", True)
    said = {"event": "library", "logger": "aiokafka", "message": "away", "level": "error"}
    assert read(json.dumps(said)) == Line("error", "aiokafka: away", traceback=False)


def sample(second: int, megabytes: float, *, behind: int = 0) -> Sample:
    ready = {str(service): 200 for service in SERVICES}
    lag = dict.fromkeys(ready, 0) | {"progress": behind}
    return Sample(second, {"progress": int(megabytes * 1e6)}, ready, 0.0, lag, {})


def test_memory_that_grows_is_told_from_memory_that_was_taken_at_first() -> None:
    settled = memory([sample(n, min(100, 50 + 10 * n)) for n in range(20)], "progress")
    growing = memory([sample(n, 50 + n) for n in range(60)], "progress")

    assert (settled.most, settled.slope, settled.rise) == (100, 0, 0)
    assert growing.slope == pytest.approx(60)
    assert growing.rise == pytest.approx(100 * 29 / 94.5)


def slowed(*, at_brake_off: int, left: int) -> Samples:
    slow = [sample(n, 50 + n, behind=at_brake_off) for n in range(4)]
    silent = [sample(4, 60, behind=at_brake_off)]
    fast = [sample(5 + n, 61, behind=left) for n in range(4)]
    return Samples([*slow, *silent, *fast], {"slow": slow, "silent": silent, "fast": fast})


@pytest.mark.parametrize(
    ("at_brake_off", "left", "problems"),
    [
        (1000, 0, []),
        (1000, 999, ["999 records were left when the time for draining was up"]),
        (
            1000,
            1000,
            [
                "1,000 records were left when the time for draining was up",
                "the lag has not fallen since the brake came off: it was 1,000 records",
            ],
        ),
        (0, 0, ["nothing was left to do when the brake came off: the backlog was too small to show anything"]),
    ],
)
def test_a_backlog_that_is_not_drained_once_the_brake_is_off_is_a_problem(
    at_brake_off: int, left: int, problems: list[str]
) -> None:
    assert undrained(slowed(at_brake_off=at_brake_off, left=left)) == problems


def test_memory_is_told_of_when_the_brake_was_first_on_and_of_the_end() -> None:
    told = {figure.name: figure for figure in figures(slowed(at_brake_off=1000, left=0), Others())}

    held = told["progress: memory in the end"]
    assert (held.value, held.unit, held.details) == (61, "MB", {"MB when the brake was first on": 50})
    assert told["records left"].details == {"when the brake came off": 1000}


def test_the_pace_is_measured_from_when_the_services_know_of_their_lag() -> None:
    samples = slowed(at_brake_off=1000, left=0)
    samples.phases["slow"] = [sample(n, 50, behind=behind) for n, behind in enumerate((0, 0, 4000, 3000, 2000))]

    told = {figure.name: figure.value for figure in figures(samples, Others())}

    assert told["commands a second while slow"] == 1000


async def test_the_brake_takes_so_many_times_as_long_and_can_say_nothing() -> None:
    async def database(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(100):
            await asyncio.sleep(0.05)
            writer.write(request)
        writer.close()

    server = await asyncio.start_server(database, HOST, 0)
    async with server, brake(server.sockets[0].getsockname()[1]) as between:
        reader, writer = await asyncio.open_connection(HOST, between.port)

        async def ask() -> float:
            began = time.perf_counter()
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            return time.perf_counter() - began

        between.factor = 10
        assert await ask() > 0.45
        between.factor = 1
        between.silence()
        waiting = asyncio.create_task(ask())
        await asyncio.wait({waiting}, timeout=0.2)
        assert not waiting.done()
        between.speak()
        await waiting
        writer.close()


def test_learners_of_the_backlog_leave_one_partition_to_the_others() -> None:
    pupils = Pupils(1000)

    assert len(list(pupils.commands())) == 1000
    assert len(set(pupils.commands())) == 1000
    assert len(pupils.others) == 20
    assert not set(pupils.users) & set(pupils.others)


def test_every_bad_record_is_bad() -> None:
    good = Outgoing("progress.commands", b"u", b'{"lessonId":"l"}', [("ce_type", b"lesson.complete.v1")])
    spoiled = [spoil(good, how) for how in SPOILED]

    assert len({(message.value, tuple(message.headers)) for message in spoiled}) == len(SPOILED)
    assert good not in spoiled
    with pytest.raises(Malformed):
        read_envelope(spoil(good, "headers").headers)


@pytest.mark.parametrize(
    ("finding", "code", "sentence"),
    [
        (Finding([Figure("drift", 0, "", "how", Bar("less than", 1))]), 0, "everything held"),
        (Finding([Figure("drift", 2, "", "how", Bar("less than", 1))]), 1, "drift is 2"),
        (Finding([], problems=["a command was lost"]), 1, "a command was lost"),
    ],
)
def test_it_ends_with_one_sentence_and_a_code(
    finding: Finding, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def found(_: Trial) -> Finding:
        """Find something."""
        return finding

    monkeypatch.setattr(endurance, "TRIALS", {"only": endurance.TRIALS["idle"]._replace(run=found)})

    assert endurance.main(["only", "--seed", "3"]) == code

    assert sentence in capsys.readouterr().out.splitlines()[-1]
