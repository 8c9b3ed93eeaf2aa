"""The composed system: one command starts it, nothing of it is open to others, and it does what it is for."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.composed import Composed, make_project, project
from tests.support.figures import assert_exact

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200, func_only=True)]

SERVICES = {"progress": 8081, "recalculator": 8082, "certificates": 8083}
ONCE = ("topics", "users", "identity")


def configuration(*files: str) -> dict[str, Any]:
    """What compose makes of its files, every profile included."""
    read = make_project(*files).compose("--profile", "*", "config", "--format", "json")
    assert read.code == 0, read.err
    found: dict[str, Any] = json.loads(read.out)["services"]
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return configuration()


def test_every_container_is_bounded_and_has_no_more_rights_than_its_user(services: dict[str, Any]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() >= {"cpus", "memory", "pids"}, name
        assert service.get("cap_drop") == ["ALL"], name
        assert service.get("security_opt") == ["no-new-privileges:true"], name
        # Kafka's image writes its configuration beside its program.
        assert service.get("read_only", False) or name == "kafka"
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_everything_that_stays_has_a_health_check_and_starts_after_what_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name not in {*ONCE, "ops"}:
            assert not service["healthcheck"].get("disable", False), name
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how["condition"] == expected, (name, needed)
    for name in SERVICES:
        assert services[name]["depends_on"].keys() == {"kafka", "mongo", *ONCE}


def test_nothing_is_published_beyond_this_machine_and_the_database_not_at_all(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}

    assert published.keys() == {*SERVICES, "kafka", "prometheus", "mail"}
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_the_shell_of_whoever_runs_the_tests_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, services: dict[str, Any]
) -> None:
    for name in ("MONGO_OPS_PASSWORD", "KAFKA_WEB_PASSWORD", "LOG_LEVEL", "COMPOSE_PROJECT_NAME", "SECURE_DIR"):
        monkeypatch.setenv(name, "another")
    monkeypatch.setenv("COMPOSE_FILE", "another.yml")
    monkeypatch.setenv("COMPOSE_PROFILES", "another")

    found = configuration()

    assert {name: of.get("environment") for name, of in found.items() if name != "kafka"} == {
        name: of.get("environment")
        for name, of in services.items()
        if name != "kafka"  # which has a port of its own
    }


@pytest.fixture(scope="module")
def composed(image: str) -> Iterator[Composed]:
    """The whole system, healthy; for tests that leave it so."""
    with project() as system:
        system.up()
        yield system


def test_the_system_is_healthy_after_one_command(composed: Composed) -> None:
    states = {c["Config"]["Labels"]["com.docker.compose.service"]: c["State"] for c in composed.containers()}

    assert {name: states[name]["Health"]["Status"] for name in (*SERVICES, "kafka", "mongo")} == dict.fromkeys(
        (*SERVICES, "kafka", "mongo"), "healthy"
    )
    assert {name: states[name]["ExitCode"] for name in ONCE} == dict.fromkeys(ONCE, 0)


def test_each_service_answers_on_this_machine(composed: Composed) -> None:
    for name, port in SERVICES.items():
        answer = httpx.get(f"http://{composed.address(name, port)}/health/ready")

        assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_a_gateway_on_this_machine_reaches_the_broker_and_finds_its_reply_topic(composed: Composed) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=composed.address("kafka", 19092))
    await admin.start()
    try:
        topics = set(await admin.list_topics())
    finally:
        await admin.close()

    assert {"progress.commands", "progress.replies", "progress.replies.web"} <= topics


def test_the_services_see_the_key_set_and_cannot_change_it_nor_see_the_private_key(composed: Composed) -> None:
    for name in SERVICES:
        seen = composed.execute(name, "python", "-c", "print(open('/identity/jwks.json').read())")
        assert '"d"' not in seen.out
        assert json.loads(seen.out)["keys"]
        assert composed.execute(name, "ls", "/identity").out.split() == ["jwks.json"]
        assert composed.execute(name, "ls", "--almost-all", "/keys").out == ""
        assert composed.execute(name, "touch", "/identity/other").code != 0
        assert composed.execute(name, "touch", "/opt/lesson-progress/other").code != 0


def test_three_replicas_of_the_recalculator_just_work_and_one_again(composed: Composed) -> None:
    try:
        composed.up("--scale", "recalculator=3")
        addresses = {composed.address("recalculator", 8082, index=index) for index in (1, 2, 3)}

        assert len(addresses) == 3
        assert {httpx.get(f"http://{address}/health/ready").status_code for address in addresses} == {200}
    finally:
        composed.up()
    assert len(composed.containers("recalculator")) == 1


@pytest.fixture
def small_platform(composed: Composed) -> None:
    imported = composed.ops("import", "/examples/platform")
    assert imported.code == 0, imported.err


def completed(composed: Composed) -> dict[str, Any]:
    """What the system answers when Maya completes her first lesson, again or for the first time."""
    ended = composed.ops("complete", "bread-basics-1", "--user", "learner-maya", "--json")
    assert ended.code == 0, ended.err
    answer: dict[str, Any] = json.loads(ended.out)
    return answer


def test_the_operators_command_finds_the_system_it_is_in(composed: Composed, small_platform: None) -> None:
    assert completed(composed)["type"] == "lesson.marked.v1"
    checked = composed.ops("topics", "diff", "--reply", "web")
    assert checked.code == 0, checked.err


def test_a_stopped_system_ends_in_good_order_and_finds_everything_again(
    composed: Composed, small_platform: None
) -> None:
    completed(composed)

    try:
        assert composed.compose("stop").code == 0
        ended = composed.containers(*SERVICES)
    finally:
        composed.up()

    # 137 would be Docker's patience at its end.
    assert {c["Name"]: c["State"]["ExitCode"] for c in ended} == {f"/{composed.name}-{name}-1": 0 for name in SERVICES}
    assert completed(composed)["data"]["alreadyCompleted"] is True


def test_36184_completions_in_random_order_end_in_the_exact_figures(composed: Composed) -> None:
    order = ("--copies", "1", "--seed", "1")
    ended = composed.ops(
        "replay", "/examples/oulad", "--stack", "external", *order, "--report", "/dev/stdout", seconds=1000
    )

    assert ended.code == 0, ended.err[-3000:]
    found = json.loads(ended.out)
    assert_exact(found)
    assert found["replies"] == {"lesson.marked.v1": 36_184}
    audited = composed.ops("audit")
    assert audited.code == 0, audited.err
