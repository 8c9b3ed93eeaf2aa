"""The replay's verdict: whatever differs from the files is found, and only what was measured is reported."""

import asyncio
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from rich.console import Console
from typer.testing import CliRunner

from ops.cli import app
from ops.errors import OperatorError
from ops.offsets import GroupOffsets
from ops.platform.counting import ExpectedFigures
from ops.platform.datasets import PlannedCompletion
from ops.replay import repeating, session
from ops.replay import run as replaying
from ops.replay.figures import Figures
from ops.replay.plan import PlannedCommand
from ops.replay.repeating import Patience, until_answered
from ops.replay.run import _all_arrived, _converse, _finished
from ops.replay.session import report_of
from ops.replay.verdict import Result
from ops.replay.view import summary
from ops.replay.watching import Watch, percentiles

EXPECTED = ExpectedFigures(
    courses=1, lessons=2, enrollments=4, completions=5, certificates=2, partial=1, zero=1,
    percentages={0.0: 1, 50.0: 1, 100.0: 2},
)  # fmt: skip
RIGHT = Figures(
    completions=5, certificates=2, distinct_certificate_ids=2, readable_pdfs=2, partial=1, zero=1,
    percentages={0.0: 1, 50.0: 1, 100.0: 2}, notifications={"course_completed": 2, "certificate_ready": 2},
    fingerprint="f",
)  # fmt: skip


def test_right_figures_differ_in_nothing() -> None:
    assert RIGHT.differences(EXPECTED) == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"completions": 6}, "completions: 6, expected 5"),
        ({"certificates": 1}, "certificates: 1, expected 2"),
        ({"distinct_certificate_ids": 1}, "distinct certificate ids: 1, expected 2"),
        ({"readable_pdfs": 1}, "readable PDFs: 1, expected 2"),
        ({"partial": 2}, "enrollments between 0 and 100 %: 2, expected 1"),
        ({"zero": 0}, "enrollments at 0 %: 0, expected 1"),
        ({"percentages": {100.0: 4}}, "percentages: {100.0: 4}, expected {0.0: 1, 50.0: 1, 100.0: 2}"),
        (
            {"notifications": {"course_completed": 1, "certificate_ready": 2}},
            "notifications course_completed: 1, expected 2",
        ),
        ({"notifications": {"course_completed": 2}}, "notifications certificate_ready: 0, expected 2"),
    ],
)
def test_one_wrong_figure_is_one_difference(wrong: dict[str, Any], sentence: str) -> None:
    assert replace(RIGHT, **wrong).differences(EXPECTED) == [sentence]


def test_without_rendering_no_pdf_is_expected() -> None:
    assert replace(RIGHT, readable_pdfs=0).differences(EXPECTED, rendered=False) == []
    assert RIGHT.differences(EXPECTED, rendered=False) == ["readable PDFs: 2, expected 0"]


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles([n / 100 for n in range(100, 0, -1)]) == {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    assert percentiles([0.25]) == {"p50": 0.25, "p95": 0.25, "p99": 0.25}
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}


def watch(*lessons: str, copies: int = 1) -> Watch:
    """A watch of one learner's commands, all of them sent at moment 10."""
    watched = Watch("run", {("maya", "bread"): "e"})
    for index, lesson in enumerate(lesson for lesson in lessons for _ in range(copies)):
        watched.sending(PlannedCommand(index, PlannedCompletion("maya", lesson, "bread", 0), index % copies == 0))
    watched._sent_at = dict.fromkeys(watched._sent_at, 10.0)
    watched._open["e"] = type(watched._open["e"])([10.0] * len(watched._open["e"]))
    watched._last_sent["e"] = 10.0
    return watched


def record(topic: str, kind: str, value: object = None, **headers: str) -> ConsumerRecord[bytes, bytes]:
    """A record as the broker hands it over."""
    named = [("ce_type", kind.encode())]
    named += [(name.replace("_id", "-id"), text.encode()) for name, text in headers.items()]
    raw = json.dumps(value).encode()
    return ConsumerRecord(topic, 0, 0, 0, 0, b"e", raw, None, 1, len(raw), named)


def reply(correlation: str, kind: str = "lesson.marked.v1") -> ConsumerRecord[bytes, bytes]:
    return record("progress.replies", kind, correlation_id=correlation)


def state(completed: int) -> ConsumerRecord[bytes, bytes]:
    return record(
        "enrollment.progressed",
        "enrollment.progressed.v1",
        {
            "enrollmentId": "e", "userId": "maya", "courseId": "bread", "completed": completed, "total": 4,
            "progressPercent": 25.0 * completed, "completedAt": None, "revision": completed,
        },
    )  # fmt: skip


def test_a_reply_is_counted_once_as_recorded_and_by_its_kind() -> None:
    watched = watch("a", copies=2)

    watched._arrival(reply("run:0"), 10.5)
    watched._arrival(reply("run:1"), 11.0)
    watched._arrival(reply("another:0"), 12.0)

    assert watched.sent == 2
    assert watched.replies == {"lesson.marked.v1": 2}
    assert watched.seconds["recorded"] == [0.5]


def test_a_rejection_is_an_answer_and_no_recording() -> None:
    watched = watch("a")

    watched._arrival(reply("run:0", "command.rejected.v1"), 10.5)

    assert watched.answered == 1
    assert watched.seconds["recorded"] == []


def test_a_state_says_that_so_many_completions_have_arrived() -> None:
    watched = watch("a", "b", "c")

    watched._arrival(state(2), 10.5)
    watched._arrival(state(2), 11.0)
    watched._arrival(state(3), 11.5)

    assert watched.enrollments == {"e"}
    assert watched.seconds["progressed"] == [0.5, 0.5, 1.5]


def issued() -> ConsumerRecord[bytes, bytes]:
    return record(
        "certificate.issued",
        "certificate.issued.v1",
        {
            "certificateId": "c", "enrollmentId": "e", "userId": "maya", "courseId": "bread", "issuedAt": 1,
            "verificationUrl": "https://certificates.example/c",
        },
    )  # fmt: skip


def test_a_certificate_counts_once() -> None:
    watched = watch("a")

    watched._arrival(issued(), 12.0)
    watched._arrival(issued(), 13.0)

    assert watched.certificates == {"e"}
    assert watched.seconds["certificate"] == [2.0]


def result(*, recorded: float, fingerprint: str = "f", problems: list[str] | None = None) -> Result:
    watched = Watch("run", {})
    watched.seconds["recorded"] = [recorded]
    return Result(EXPECTED, replace(RIGHT, fingerprint=fingerprint), watched, 0, 0, 1.0, problems or [])


def test_the_report_of_several_rounds_keeps_the_firsts_latencies_and_every_problem() -> None:
    report = report_of([result(recorded=0.5), result(recorded=0.001, fingerprint="g", problems=["it changed"])])

    assert report["propagation_seconds"]["recorded"]["p50"] == 0.5  # type: ignore[index]
    assert report["problems"] == ["it changed"]
    assert report["rounds"] == [
        {"seconds": 1.0, "changed": False, "problems": []},
        {"seconds": 1.0, "changed": True, "problems": ["it changed"]},
    ]


async def test_a_replay_that_stands_still_names_the_log_to_look_into(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offsets:
        async def behind(self, _: str) -> int:
            return 7

    monkeypatch.setattr(replaying, "STALL_SECONDS", 0.0)
    monkeypatch.setattr(replaying, "_POLL_SECONDS", 0.0)

    with pytest.raises(
        OperatorError, match=r"progress has 7 records to handle.*look into its log, /logs/progress\.log"
    ):
        await _finished(Offsets(), Watch("run", {}), lambda name: Path(f"/logs/{name}.log"))  # type: ignore[arg-type]


async def test_the_verdict_waits_for_what_is_still_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_POLL_SECONDS", 0.001)
    watched = watch("a", "b")
    waiting = asyncio.create_task(_all_arrived(watched, (2, 2, 0)))

    for arrival in (reply("run:0"), reply("run:1"), state(1)):
        watched._arrival(arrival, 11.0)
    await asyncio.sleep(0.02)
    assert not waiting.done()
    watched._arrival(state(2), 11.0)

    await asyncio.wait_for(waiting, 5)


async def test_the_verdict_does_not_wait_for_what_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(replaying, "QUIET_SECONDS", 0.01)

    await asyncio.wait_for(_all_arrived(watch("a"), (1, 1, 1)), 5)


def test_a_certificate_that_is_revoked_meanwhile_is_no_certificate() -> None:
    watched = watch("a")

    watched._arrival(record("certificate.issued", "certificate.revoked.v1", {"enrollmentId": "e"}), 12.0)

    assert watched.certificates == set()


def test_events_of_other_learners_are_not_counted() -> None:
    watched = Watch("run", {("maya", "bread"): "mayas"})

    watched._arrival(state(1), 11.0)
    watched._arrival(issued(), 11.0)

    assert (watched.enrollments, watched.certificates) == (set(), set())


async def test_one_partition_does_not_make_up_for_another() -> None:
    first, second = TopicPartition("course.completed", 0), TopicPartition("course.completed", 1)

    class Admin:
        async def list_consumer_group_offsets(
            self, *_: object, **__: object
        ) -> dict[TopicPartition, OffsetAndMetadata]:
            return {first: OffsetAndMetadata(45, ""), second: OffsetAndMetadata(-1, "")}

    class Offsets(GroupOffsets):
        def __init__(self) -> None:
            self._servers, self._admin, self._leaves_out = "127.0.0.1:9092", Admin(), True

        async def _ends(self, _: Iterable[str]) -> dict[TopicPartition, int]:
            return {first: 1, second: 7}

    assert await Offsets().behind("certificates") == 7


def planned(index: int) -> PlannedCommand:
    return PlannedCommand(index, PlannedCompletion("maya", "lesson", "bread", 0), first=True)


async def test_what_nobody_answered_is_sent_again_until_it_is() -> None:
    commands, watched = [planned(0), planned(1)], watch("a", "b")
    watched._arrival(reply("run:0"), 11.0)
    sent_again: list[list[int]] = []

    async def again(silent: Sequence[PlannedCommand]) -> None:
        sent_again.append([command.index for command in silent])
        watched._arrival(reply("run:1"), 12.0)

    await until_answered(commands, watched, again)

    assert sent_again == [[1]]
    assert watched.answered == 2


@pytest.mark.parametrize(("ask_again", "sendings"), [(False, [[0, 1]]), (True, [[0, 1], [1]])])
async def test_a_replay_sends_what_has_no_answer_again_only_where_it_is_told_to(
    *, ask_again: bool, sendings: list[list[int]]
) -> None:
    watched, found = Watch("run", {("maya", "bread"): "e"}), []

    async def send(commands: Sequence[PlannedCommand], *, rate: float | None) -> None:
        found.append([command.index for command in commands])
        for command in commands:
            watched.sending(command)
        # The second one's answer is lost the first time.
        watched._arrival(reply(f"run:{len(found) - 1}"), 11.0)

    async def arrived() -> None:
        """Nothing more is on its way."""

    await _converse([planned(0), planned(1)], watched, send, arrived, rate=None, ask_again=ask_again)

    assert found == sendings
    assert (watched.sent - watched.answered, watched.sent_again) == ((0, 1) if ask_again else (1, 0))


def test_whoever_asks_again_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[bool] = []

    async def run_rounds(*arguments: Any, **_: object) -> None:
        given.append(arguments[4].ask_again)

    monkeypatch.setattr(session, "run_rounds", run_rounds)
    for options in ([], ["--ask-again"]):
        assert CliRunner().invoke(app, ["replay", str(tmp_path), *options]).exit_code == 0

    assert given == [False, True]


@pytest.mark.parametrize(("times", "shown"), [(0, []), (3, [["3"]])])
def test_the_table_shows_how_many_commands_were_sent_again_when_any_was(times: int, shown: list[list[str]]) -> None:
    watched, out = watch("a"), io.StringIO()
    for _ in range(times):
        watched.sending(planned(0))

    Console(file=out, width=200).print(summary(watched, RIGHT, EXPECTED, drift=0, dead_letters=0))

    rows = [line for line in out.getvalue().splitlines() if "sent again" in line]
    assert [re.findall(r"\d+", row) for row in rows] == shown


async def test_what_nobody_ever_answers_is_not_sent_for_ever_and_is_a_problem() -> None:
    tries = 0

    async def again(_: Sequence[PlannedCommand]) -> None:
        nonlocal tries
        tries += 1

    await until_answered([planned(0)], watch("a"), again)

    assert tries == 1


def test_a_repetition_counts_neither_as_a_command_nor_as_a_second_answer() -> None:
    watched = watch("a")
    watched.sending(planned(0))

    watched._arrival(reply("run:0"), 11.0)
    watched._arrival(reply("run:0"), 12.0)

    assert (watched.sent, watched.sent_again, watched.answered) == (1, 1, 1)
    assert watched.replies.total() == 2


async def test_a_broker_that_is_away_for_a_moment_is_borne_and_for_longer_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away() -> int:
        raise OperatorError("the broker failed")

    async def there() -> int:
        return 7

    patience = Patience()

    assert await patience.ask(away) is None
    assert await patience.ask(there) == 7
    monkeypatch.setattr(repeating, "AWAY_SECONDS", -1.0)
    with pytest.raises(OperatorError, match="the broker failed"):
        await patience.ask(away)
