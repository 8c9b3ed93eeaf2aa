"""Settings: read from the environment, frozen, listed on demand, secrets kept."""

import json
import sys

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from services.progress.settings import Settings
from shared.commandline import main
from shared.errors import Fatal
from shared.service import Service
from shared.settings import listing

KAFKA = "LESSON_PROGRESS_KAFKA__"
#: Where not every text is a value.
CHOICES = {
    "LESSON_PROGRESS_PUBLIC_URL": "https://learn.example",
    "LESSON_PROGRESS_LOG__LEVEL": "debug",
    f"{KAFKA}SECURITY_PROTOCOL": "SSL",
    f"{KAFKA}SASL_MECHANISM": "PLAIN",
}
#: With these, every other setting makes sense.
NEEDED = {
    f"{KAFKA}SECURITY_PROTOCOL": "SASL_SSL",
    f"{KAFKA}USERNAME": "progress",
    f"{KAFKA}PASSWORD": "a password",
    f"{KAFKA}CERTIFICATE_FILE": "ours.pem",
}


def test_every_setting_has_its_variable_default_and_description() -> None:
    rows = list(listing(Settings))
    names = [name for name, _, _ in rows]
    assert len(names) == len(set(names))
    assert all(name.startswith("LESSON_PROGRESS_") for name in names)
    assert all(description for _, _, description in rows)
    defaults = {name: default for name, default, _ in rows}
    assert defaults["LESSON_PROGRESS_PROGRESS__HTTP__PORT"] == "8081"
    assert defaults["LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME"] == "True"
    assert defaults["LESSON_PROGRESS_MONGO__URI"].startswith("mongodb://")


@pytest.mark.parametrize("row", list(listing(Settings)), ids=lambda row: row[0])
def test_every_listed_variable_is_read(row: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    name, default, _ = row
    changed = {"True": "false", "False": "true"}.get(default) or (str(int(default) + 1) if default.isdigit() else None)
    changed = changed or CHOICES.get(name, "changed")
    for needed, value in NEEDED.items():
        monkeypatch.setenv(needed, value)
    monkeypatch.setenv(name, changed)
    read: object = Settings()
    for part in name.removeprefix("LESSON_PROGRESS_").lower().split("__"):
        read = getattr(read, part)
    shown = read.get_secret_value() if hasattr(read, "get_secret_value") else read
    assert str(shown).lower() == changed.lower()


def test_one_nested_variable_leaves_its_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_PROGRESS__HTTP__HOST", "0.0.0.0")  # noqa: S104 - read, never listened on
    assert (Settings().progress.http.host, Settings().progress.http.port) == ("0.0.0.0", 8081)  # noqa: S104 - the same


def test_settings_do_not_change_while_they_are_used() -> None:
    with pytest.raises(ValidationError):
        Settings().log.level = "debug"  # type: ignore[misc]


def test_a_password_in_the_address_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_MONGO__URI", "mongodb://user:hunter2@host/")
    assert "hunter2" not in repr(Settings())


class TestTheCommandLine:
    @pytest.fixture(autouse=True)
    def _quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.commandline.configure", lambda *_, **__: None)

    @staticmethod
    def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        def build(_: Settings) -> Service:
            raise Fatal("LESSON_PROGRESS_MONGO__URI cannot be used")

        monkeypatch.setattr(sys, "argv", ["progress", *arguments])
        return main("progress", Settings, build)

    def test_settings_are_listed(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(monkeypatch, "--settings") == 0
        assert "LESSON_PROGRESS_PROGRESS__BATCH_SIZE" in capsys.readouterr().out

    def test_settings_are_listed_as_json(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "--settings", "--json") == 0
        listed = json.loads(capsys.readouterr().out)
        assert {"variable", "default", "description"} == set(listed[0])

    def test_a_setting_that_cannot_be_read_is_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("LESSON_PROGRESS_PROGRESS__HTTP__PORT", "seventy")
        assert self.run(monkeypatch) == 2
        assert capsys.readouterr().err.startswith("LESSON_PROGRESS_PROGRESS__HTTP__PORT: ")

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ({"SECURITY_PROTOCOL": "SASL_SSL"}, f"SASL_SSL needs {KAFKA}USERNAME and {KAFKA}PASSWORD"),
            (
                {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "USERNAME": "progress"},
                f"SASL_PLAINTEXT needs {KAFKA}USERNAME and {KAFKA}PASSWORD",
            ),
            ({"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "k"}, f"{KAFKA}KEY_FILE needs {KAFKA}CERTIFICATE_FILE"),
            ({"CA_FILE": "ca.pem"}, f"set {KAFKA}SECURITY_PROTOCOL to one of them"),
        ],
    )
    def test_settings_that_do_not_fit_together_say_what_is_missing(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        variables: dict[str, str],
        said: str,
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(KAFKA + name, value)
        assert self.run(monkeypatch) == 2
        written = capsys.readouterr().err
        assert said in written
        assert "Value error" not in written

    def test_a_setting_that_cannot_be_used_is_one_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with capture_logs() as lines:
            assert self.run(monkeypatch) == 1
        assert [line["reason"] for line in lines] == ["LESSON_PROGRESS_MONGO__URI cannot be used"]
