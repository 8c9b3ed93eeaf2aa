"""What the services' code says while a command runs it is for people, and gives nobody away."""

import logging

import pytest
import structlog

from ops.commands.options import print_json, run

TOKEN = "eyJ.the-token"


async def _stumble() -> list[str]:
    log = structlog.get_logger()
    headers = {"authorization": TOKEN}
    try:
        int(str(headers))  # its error holds the words that it could not read
    except ValueError:
        log.exception("admission.failed", records=1)
    log.warning("enrollment.unreadable", enrollmentId="enrollment-1")
    log.info("drift.audited")
    return []


def test_an_error_is_named_without_its_words_and_results_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(run(_stumble(), interrupted="nothing was changed"))

    out, err = capsys.readouterr()
    assert out == "[]\n"
    assert TOKEN not in err
    first, second = err.splitlines()
    assert first.startswith("level='error' event='admission.failed' records=1 error='ValueError'")
    assert "_stumble" in first
    assert second == "level='warning' event='enrollment.unreadable' enrollmentId='enrollment-1'"


def test_afterwards_the_log_is_as_it_was() -> None:
    before = structlog.get_config()

    run(_stumble(), interrupted="nothing was changed")

    assert structlog.get_config() == before


def test_what_a_library_says_by_itself_is_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered() -> None:
        logging.getLogger("aiokafka").error("Unable connect to %s", "127.0.0.1:9092")

    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    run(unanswered(), interrupted="nothing was changed")

    assert capsys.readouterr().err == ""
    assert logging.getLogger("aiokafka").handlers == []
