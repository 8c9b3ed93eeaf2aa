"""Nothing that lets its reader act as somebody else is shown, wherever a sender put it."""

import base64
import json

import pytest

from ops.deadletters.letter import Known, Letter, State, read
from ops.deadletters.masking import MASK, readable, readable_header
from ops.deadletters.view import in_full, lines_of
from tests.support.builders import command
from tests.support.fake_log import FakeLog
from tests.support.process import Process


def part(of: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(of).encode()).decode().rstrip("=")


TOKEN = f"{part({'alg': 'RS256', 'kid': 'key-1'})}.{part({'sub': 'learner-1'})}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name", ["authorization", "Authorization", "x-auth-token", "cookie", "X-API-Key", "client_secret", "x-password"]
)
def test_a_header_with_the_name_of_a_secret_is_masked_whatever_it_holds(name: str) -> None:
    assert readable_header(name, b"hunter2") == MASK


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        f"token is {TOKEN}, and more",
        TOKEN[:40],
        "Bearer opaque-0123456789",
        "basic aHVudGVyMg==",
        json.dumps({"note": TOKEN}),
        json.dumps({"access_token": "hunter2"}),
        json.dumps({"a": {"Authorization": "Bearer hunter2"}}, indent=2),
        '{"password"\n:\n"hunter2", "x": 1}',
        '{"password": "hun\\"ter2',
        '{"session": hunter2}',
    ],
)
def test_a_token_in_a_value_is_masked(value: str) -> None:
    shown = readable(value.encode())

    assert MASK in shown
    for secret in (TOKEN[:40], "hunter2", "ter2", "opaque", "aHVudGVyMg"):
        assert secret not in shown


@pytest.mark.parametrize(
    "value", ['{"lessonId": "lesson-1", "note": "eyes"}', "Basic bread, bearer", "učebnice 鍵 🔑", ""]
)
def test_what_is_no_secret_is_shown_as_it_is(value: str) -> None:
    assert readable(value.encode()) == value


def test_what_is_no_text_or_moves_a_cursor_is_escaped() -> None:
    assert readable(b"\xff\x1b[2J\r\n\x00") == r"\xff\x1b[2J\r\n\x00"
    assert readable("\u202eabc\u2028".encode()) == r"\u202eabc\u2028"


def test_masking_a_hostile_value_takes_no_longer_than_reading_it() -> None:
    # Each of these makes a pattern that backtracks without a bound run for minutes.
    for hostile in (b'"' * 200_000, b'"token' * 50_000, b"eyJ" * 100_000, b'"token":"' + b"\\" * 200_001):
        assert readable(hostile)


async def test_a_letter_in_full_holds_no_token(log: FakeLog, service: Process) -> None:
    bearer = f"Bearer {TOKEN}".encode()
    value = json.dumps({"padding": "x" * 3000, "copy": TOKEN, "lessonId": 7}).encode()
    log.add(
        command(
            key=TOKEN.encode(), value=value, authorization=b"Bearer learner:x",
            headers=[("x-copy", bearer), (TOKEN, b"1"), ("none", None)],
        )
    )  # fmt: skip
    await service.run()
    [record] = log.read("progress.deadletters")
    letter = read("progress", record)
    assert isinstance(letter, Letter)

    for characters in (0, 3020, 10_000):
        shown = in_full(Known(letter, 1, 0, State.OPEN), record, characters=characters)

        for text in (json.dumps(shown), "\n".join(lines_of(shown))):
            assert TOKEN[:20] not in text
            assert "learner:x" not in text
        assert shown["valueCut"] is (characters < 4_000)
        assert len(str(shown["value"])) <= characters
    assert ["none", "null"] in shown["headers"]  # type: ignore[operator]
