"""The composed system over SASL_SSL and TLS: the same figures, gateways as themselves, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from ops.rights import SCREENS
from shared.contracts.topics import PROGRESS_COMMANDS
from tests.support import foreign_gateways as foreign
from tests.support.eventually import eventually
from tests.support.figures import assert_exact
from tests.support.secured import Secured, reasons
from tests.support.tls import certificate

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200, func_only=True)]

GATEWAY = "web"
KAFKA = "LESSON_PROGRESS_KAFKA__"
MONGO = "LESSON_PROGRESS_MONGO__URI=mongodb://progress:{password}@mongo:27017/lesson_progress?directConnection=true&tls=true"


def test_the_same_replay_ends_in_the_exact_figures(secure: Secured) -> None:
    replay = ("replay", "/examples/oulad", "--stack", "external", "--copies", "1", "--seed", "3")

    ended = secure.system.ops(*replay, "--report", "/dev/stdout", seconds=1000)

    assert ended.code == 0, ended.err[-3000:]
    assert_exact(json.loads(ended.out))


@pytest.fixture(scope="module")
def small_platform(secure: Secured) -> None:
    imported = secure.system.ops("import", "/examples/platform")
    assert imported.code == 0, imported.err


@pytest.mark.parametrize("language", foreign.LANGUAGES)
async def test_a_gateway_in_another_language_holds_its_conversation_as_its_own_principal(
    secure: Secured, small_platform: None, language: str
) -> None:
    about = foreign.ON_THE_EXAMPLE[language]
    token = secure.system.ops("token", about["USER_ID"])
    address = foreign.secured(secure.settings(GATEWAY), secure.settings(SCREENS))
    address |= {"GATEWAY": GATEWAY, "TOKEN": token.out.strip()}
    address["HTTP_URL"] = "http://" + secure.system.address("progress", 8081)

    with foreign.ready(language) as programs:
        said = await programs.run("Conversation", {**address, **about})

    assert (said.code, said.errors) == (0, ""), said.lines
    assert len(said.lines) == 12


async def test_a_wrong_password_ends_the_service_with_a_sentence_and_with_the_right_one_it_works(
    secure: Secured,
) -> None:
    of_the_broker = secure.refusal("-e", f"{KAFKA}PASSWORD=wrong")
    of_the_database = secure.refusal("-e", MONGO.format(password="wrong") + "&tlsCAFile=/secure/ca.pem")

    assert "refuses the user 'progress'; check LESSON_PROGRESS_KAFKA__USERNAME" in of_the_broker
    assert "the database refuses this service's user (error 18)" in of_the_database
    with secure.another() as mended:
        await eventually(mended.runs, within=60)


@pytest.mark.parametrize("part", ["broker at kafka:9092", "database"])
async def test_an_unknown_authority_ends_the_service_with_a_sentence_and_once_it_is_mended_it_works(
    secure: Secured, tmp_path: Path, part: str
) -> None:
    stranger, _ = certificate(tmp_path)
    password = secure.passwords["MONGO_PROGRESS_PASSWORD"]
    options = {
        "broker at kafka:9092": f"{KAFKA}CA_FILE=/other.pem",
        "database": MONGO.format(password=password) + "&tlsCAFile=/other.pem",
    }

    with secure.another("-v", f"{stranger}:/other.pem:ro", "-e", options[part]) as replica:
        said = replica.refusal()
        shutil.copyfile(secure.authority, stranger)  # in its place: the container sees this very file
        replica.again()
        await eventually(replica.runs, within=60)

    assert f"the certificate of the {part} is not trusted" in said
    assert (f"{KAFKA}CA_FILE" in said) == (part != "database")


async def test_a_right_that_is_withdrawn_ends_the_service_with_a_sentence_and_given_back_it_goes_on(
    secure: Secured,
) -> None:
    right = ("--allow-principal", "User:progress", "--operation", "Read", "--topic", PROGRESS_COMMANDS)

    def ends() -> list[str]:
        return reasons(secure.system.logs("progress"))

    before = len(ends())
    try:
        secure.rights("--remove", "--force", *right)
        said = await eventually(lambda: ends()[before:], within=60)
    finally:
        secure.rights("--add", *right)

    assert "TopicAuthorizationFailedError" in said[-1]
    assert "rights" in said[-1]
    await eventually(lambda: secure.health("progress") == "healthy", within=120)
