"""A start that cannot succeed says so in a sentence: what is missing, in the way, or left by an older version."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.composed import BASE, Composed, make_project, project

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600, func_only=True)]


@pytest.fixture
def fresh(image: str) -> Iterator[Composed]:
    with project() as system:
        yield system


@pytest.fixture
def mongo(fresh: Composed) -> Composed:
    """A database alone, with root and no other user."""
    fresh.up("mongo")
    return fresh


def shell(system: Composed, script: str, *, user: str = "root", password: str = "root", at: str = "admin") -> str:  # noqa: S107
    address = f"mongodb://{user}:{password}@127.0.0.1/{at}?directConnection=true"
    ended = system.execute("mongo", "mongosh", "--quiet", "--norc", address, "--eval", script)
    return ended.out + ended.err


def test_without_a_daemon_the_first_sentence_says_so() -> None:
    ended = make_project().compose("up", "--detach", also={"DOCKER_HOST": "unix:///nonexistent.sock"})

    assert ended.code != 0
    assert "daemon" in ended.err
    assert "running" in ended.err.lower()
    assert "unix:///nonexistent.sock" in ended.err


def test_a_port_that_another_program_has_is_named(fresh: Composed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = fresh.compose("up", "--detach", "kafka", also={"KAFKA_PORT": port})

    assert ended.code != 0
    assert f"127.0.0.1:{port}" in ended.err
    assert "already in use" in ended.err or "already allocated" in ended.err


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text('services: {kafka: {image: "apache/kafka:0.0.0-absent"}}\n')
    with project(BASE, str(other)) as system:
        ended = system.compose("up", "--detach", "kafka")

    assert ended.code != 0
    assert "apache/kafka:0.0.0-absent" in ended.err


def test_the_products_image_when_it_is_not_built_is_named() -> None:
    with project(environment={"IMAGE_TAG": "absent"}) as system:
        ended = system.compose("up", "--detach", "--no-build", "identity")

    assert ended.code != 0
    assert "No such image: lesson-progress:absent" in ended.err


def test_a_volume_of_another_root_password_says_how_to_go_on(mongo: Composed) -> None:
    ended = mongo.compose("run", "--rm", "--no-TTY", "users", also={"MONGO_ROOT_PASSWORD": "another"})

    assert ended.code == 1
    assert ended.out.strip() == (
        "the database refuses its root user: its volume was made with another MONGO_ROOT_PASSWORD. Set that one again, "
        "or begin anew with `docker compose down --volumes`, which deletes all data"
    )


def test_a_volume_without_the_users_of_this_version_gets_them_and_their_passwords_of_today(mongo: Composed) -> None:
    # What an older version left: a user with an old password, a role that allows too much, and no other user.
    shell(
        mongo,
        'db = db.getSiblingDB("lesson_progress"); db.createRole({role: "ops", privileges: [], roles: ["dbOwner"]}); '
        'db.createUser({user: "ops", pwd: "old", roles: ["ops"]})',
    )
    ping = "print(db.getSiblingDB('lesson_progress').courses.countDocuments())"
    make_and_drop = "db.lessonProgress.insertOne({}); print(db.lessonProgress.drop())"
    assert shell(mongo, ping, user="ops", password="old", at="lesson_progress").strip() == "0"
    assert shell(mongo, make_and_drop, user="ops", password="old", at="lesson_progress").strip() == "true"

    ended = mongo.compose("run", "--rm", "--no-TTY", "users", also={"MONGO_OPS_PASSWORD": "today"})

    assert ended.code == 0, ended.out
    assert "the database has its users: progress, recalculator, certificates, ops" in ended.out
    assert "Authentication failed" in shell(mongo, ping, user="ops", password="old", at="lesson_progress")
    assert shell(mongo, ping, user="ops", password="today", at="lesson_progress").strip() == "0"
    assert "not authorized" in shell(
        mongo, "db.lessonProgress.drop()", user="ops", password="today", at="lesson_progress"
    )


def test_a_volume_with_a_key_of_another_format_says_how_to_go_on_and_compose_names_the_step(fresh: Composed) -> None:
    write = 'echo "{\\"kty\\": \\"oct\\"}" >/keys/private.json'
    fresh.compose("run", "--rm", "--no-TTY", "--entrypoint", "sh", "identity", "-c", write)

    ended = fresh.compose("up", "--detach", "--wait", "progress")

    assert ended.code != 0
    assert 'service "identity" didn\'t complete successfully: exit 1' in ended.err
    assert "/keys/private.json holds no key of this version: remove the file, or the volume" in fresh.logs("identity")


def test_a_volume_with_too_few_partitions_gets_the_others(fresh: Composed) -> None:
    fresh.up("kafka")
    tool = ("/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "kafka:9092")
    made = fresh.execute("kafka", *tool, "--create", "--topic", "progress.commands", "--partitions", "1")
    assert made.code == 0, made.err

    ended = fresh.compose("run", "--rm", "--no-TTY", "topics")

    assert ended.code == 0, ended.err
    assert "progress.commands" in ended.out
    assert "PartitionCount: 6" in fresh.execute("kafka", *tool, "--describe", "--topic", "progress.commands").out
