"""What is missing is said in a sentence, before anything is started."""

import re
from pathlib import Path

import pytest

from ops.stacks import StackError, StackKind, apache_kafka, jars, missing_parts, secantus, start_stack, tansu


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on the PATH and nothing in the cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for variable in ("LESSON_PROGRESS_KAFKA_LIBS", "LESSON_PROGRESS_SECANTUSD"):
        monkeypatch.delenv(variable, raising=False)


def test_the_embedded_parts_are_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tansu, secantus):
        monkeypatch.setattr(module, "find_spec", lambda _: None)

    broker, database = missing_parts(StackKind.EMBEDDED)

    assert broker == "Tansu, the embedded broker, is missing: install lesson-progress[embedded]"
    assert database == "SecantusDB, the embedded database, is missing: install lesson-progress[embedded]"


def test_nothing_is_missing_for_the_embedded_stack_here() -> None:
    assert missing_parts(StackKind.EMBEDDED) == []


@pytest.mark.usefixtures("bare_machine")
def test_the_kafka_stack_needs_java_maven_and_the_rust_server() -> None:
    java, maven, server = missing_parts(StackKind.KAFKA)

    assert java == "Apache Kafka 4.1.1 needs Java: install a JRE of version 17 or newer"
    assert "install Maven" in maven
    assert "`cargo install secantus-mdb --version 0.5.3-beta.196 --ignore-rust-version --root ~/.cache/" in server


@pytest.mark.usefixtures("bare_machine")
def test_maven_is_not_needed_once_the_jars_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_KAFKA_LIBS", str(tmp_path))
    (tmp_path / f"kafka_2.13-{jars.VERSION}.jar").touch()

    assert not any("Maven" in sentence for sentence in missing_parts(StackKind.KAFKA))


@pytest.mark.usefixtures("bare_machine")
def test_a_server_that_is_named_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_SECANTUSD", str(tmp_path / "nothing"))

    assert any(f"LESSON_PROGRESS_SECANTUSD names {tmp_path}/nothing" in s for s in missing_parts(StackKind.KAFKA))


def test_an_installed_wheel_says_that_it_lacks_what_the_broker_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apache_kafka, "DEPLOY", tmp_path / "deploy")

    sentence = missing_parts(StackKind.KAFKA)[0]

    assert f"is set up from {tmp_path / 'deploy'}, which is not there: start this stack from a checkout" in sentence


@pytest.mark.usefixtures("bare_machine")
async def test_a_stack_with_missing_parts_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^The kafka stack cannot start\. Apache Kafka 4\.1\.1 needs Java"):
        async with start_stack(StackKind.KAFKA, directory=tmp_path / "stack", services=()):
            pytest.fail("it started")

    assert not (tmp_path / "stack").exists()


def test_an_external_stack_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.delenv("LESSON_PROGRESS_MONGO__URI", raising=False)
    monkeypatch.delenv("LESSON_PROGRESS_AUTH__JWKS", raising=False)

    database, keys = missing_parts(StackKind.EXTERNAL)

    assert database == "LESSON_PROGRESS_MONGO__URI is not set: it names the database"
    assert keys == "LESSON_PROGRESS_AUTH__JWKS is not set: it names the issuer's key set"


def test_the_jars_list_and_the_stack_name_the_same_kafka() -> None:
    assert re.findall(r"<kafka.version>(.*)</kafka.version>", (jars.DEPLOY / "pom.xml").read_text()) == [jars.VERSION]
