"""The example for Kubernetes says what the image and the settings say."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.contracts.topics import SERVICES
from shared.settings import listing

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
#: A service ends within ten seconds of SIGTERM; only then may it be killed.
_ENDS_WITHIN_SECONDS = 10

pytestmark = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def pod_of(example: Path) -> Any:
    [deployment] = yaml.safe_load_all(example.read_text())
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    template = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    return template["spec"]


def container_of(example: Path) -> Any:
    [container] = pod_of(example)["containers"]
    assert container["args"] == ["python", "-m", f"services.{example.stem}"]
    assert example.stem in SERVICES
    return container


def test_every_variable_is_a_setting_of_the_service_and_its_value_is_taken(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = import_module(f"services.{example.stem}.settings").Settings
    given = {variable["name"]: variable.get("value", "secret") for variable in container_of(example)["env"]}

    assert given.keys() <= {variable for variable, _, _ in listing(model)}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = model()
    assert settings.kafka.bootstrap_servers == given["LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS"]
    assert settings.kafka.encrypted


def test_what_is_secret_is_in_a_secret(example: Path) -> None:
    secret = [v for v in container_of(example)["env"] if re.search(r"PASSWORD|__URI$", v["name"])]

    assert secret
    assert all("secretKeyRef" in variable["valueFrom"] for variable in secret)


def test_it_is_asked_where_the_image_listens_and_restarted_only_when_it_does_not_live(example: Path) -> None:
    container = container_of(example)
    [port] = container["ports"]

    assert f"LESSON_PROGRESS_{example.stem.upper()}__HTTP__PORT={port['containerPort']}" in DOCKERFILE
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }


def test_it_may_end_in_its_time_and_needs_no_right_and_no_file_system(example: Path) -> None:
    pod, container = pod_of(example), container_of(example)
    [user] = re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)

    assert pod["terminationGracePeriodSeconds"] > _ENDS_WITHIN_SECONDS
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, int(user))
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted["tmp"] == "/tmp"  # noqa: S108 - the image's working folder
    assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
