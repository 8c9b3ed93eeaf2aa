"""The services over HTTP keep to their OpenAPI documents, whatever is asked: schemathesis makes up the questions."""

import asyncio
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from sysconfig import get_path

import pytest

from docs.contract_files.places import ROOT, openapi_of
from shared.contracts.topics import SERVICES
from tests.support.campus import Campus
from tests.support.gateway import Gateway
from tests.support.system import System

SCHEMATHESIS = Path(get_path("scripts")) / "schemathesis"
QUESTIONS = ("--phases", "examples,coverage,fuzzing", "--max-examples", "20")
SECONDS = 240
#: The parameter that names what exists, of each service that is asked for such; the recalculator has no such query.
WHAT_EXISTS = {"progress": "path.course_id", "certificates": "path.certificate_id"}


async def questioned(url: str, folder: Path, *, token: str, known: Mapping[str, str], warned: bool = True) -> None:
    """Let schemathesis question a service, as its users run it; whatever it finds is a failure.

    It warns where it cannot find what exists: `known` names that, and where it does every warning is a finding.
    """
    parameters = "".join(f'"{name}" = {json.dumps(value)}\n' for name, value in known.items())
    warnings = "[warnings]\nfail-on = true" if warned else "warnings = false"
    headers = f"headers = {{ Authorization = {json.dumps(f'Bearer {token}')} }}"
    (folder / "schemathesis.toml").write_text(f"{headers}\n{warnings}\n[parameters]\n{parameters}")
    asked = ("run", f"{url}/openapi.json", *QUESTIONS, "--no-color")
    done = await asyncio.to_thread(
        subprocess.run,
        (SCHEMATHESIS, *asked),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_served_is_what_is_committed(gateway: Gateway, service: str) -> None:
    served = (await gateway.get(service, "/openapi.json")).json()

    assert served == json.loads((ROOT / openapi_of(service)).read_text())


@pytest.mark.parametrize("service", SERVICES)
async def test_whatever_is_asked_the_answer_is_one_that_is_described(
    system: System, gateway: Gateway, tmp_path: Path, service: str
) -> None:
    url, token = system.stack.http_url(service), gateway.token("nobody")

    await questioned(url, tmp_path, token=token, known={}, warned=service not in WHAT_EXISTS)


async def test_what_exists_is_answered_as_described(
    system: System, gateway: Gateway, campus: Campus, tmp_path: Path
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    certificate = await gateway.certificate(learner.enrollment_id)
    token = gateway.token(learner.user_id)

    found = {"progress": course.id, "certificates": certificate["certificateId"]}
    for service, parameter in WHAT_EXISTS.items():
        known = {parameter: found[service]}
        await questioned(system.stack.http_url(service), tmp_path, token=token, known=known)
