"""The OpenAPI documents: valid, the same as the services serve, and with every answer described."""

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none
from openapi_spec_validator import OpenAPIV31SpecValidator

from docs.contract_files.places import ROOT, openapi_of
from shared.contracts.topics import SERVICES

Json = dict[str, Any]

PROBLEM = "application/problem+json"
OF_EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES)
#: What health, metrics and the description itself are; they have no problem documents of their own.
OPERATIONS = "operations"


def described(service: str) -> Json:
    read: Json = json.loads((ROOT / openapi_of(service)).read_text())
    return read


def queries() -> Iterator[tuple[str, Json]]:
    """Every operation that is no operator's, with its path."""
    for service in SERVICES:
        for path, methods in described(service)["paths"].items():
            for operation in methods.values():
                if OPERATIONS not in operation["tags"]:
                    yield path, operation


QUERIES = list(queries())
OF_EVERY_QUERY = pytest.mark.parametrize(("path", "operation"), QUERIES, ids=[path for path, _ in QUERIES])


@OF_EVERY_SERVICE
def test_a_validator_finds_nothing_wrong(service: str) -> None:
    assert described(service)["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(described(service)).iter_errors()) == []


@OF_EVERY_SERVICE
async def test_the_service_serves_it_as_it_is_in_the_file(service: str) -> None:
    settings = import_module(f"services.{service}.settings").Settings()
    wired = import_module(f"services.{service}.app").build_app(settings)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(wired.http), base_url="http://service") as client:
        assert (await client.get("/openapi.json")).json() == described(service)


def test_there_are_these_queries_and_no_others() -> None:
    assert {(operation["operationId"], path) for path, operation in queries()} == {
        ("getProgress", "/v1/courses/{course_id}/progress"),
        ("getNextLesson", "/v1/courses/{course_id}/next-lesson"),
        ("getCertificate", "/v1/certificates/{certificate_id}"),
        ("getCertificatePdf", "/v1/certificates/{certificate_id}/pdf"),
    }


@OF_EVERY_SERVICE
def test_health_and_metrics_are_described_as_they_are(service: str) -> None:
    answers = {path: methods["get"]["responses"] for path, methods in described(service)["paths"].items()}

    assert answers["/health/live"].keys() == answers["/health/ready"].keys() == {"200", "503"}
    assert list(answers["/metrics"]["200"]["content"]) == ["text/plain"]


@OF_EVERY_QUERY
def test_every_error_is_a_problem_document_with_an_example(path: str, operation: Json) -> None:
    errors = {status: answer for status, answer in operation["responses"].items() if status != "200"}

    assert {"503", "default"} <= errors.keys()
    for status, answer in errors.items():
        assert list(answer["content"]) == [PROBLEM], (path, status)
        shown = answer["content"][PROBLEM]
        if status != "default":
            assert shown["example"]["status"] == int(status)
            Draft202012Validator(shown["schema"]).validate(shown["example"])


@OF_EVERY_QUERY
def test_personal_answers_are_not_kept(path: str, operation: Json) -> None:
    assert "no-store" in operation["responses"]["200"]["headers"]["Cache-Control"]["description"], path


@OF_EVERY_QUERY
def test_a_learner_s_queries_ask_for_the_token_and_a_certificate_s_id_is_the_secret(path: str, operation: Json) -> None:
    if path.startswith("/v1/courses/"):
        assert operation["security"] == [{"token": []}]
        assert operation["responses"]["401"]["headers"].keys() == {"WWW-Authenticate"}
        scheme = described("progress")["components"]["securitySchemes"]["token"]
        assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    else:
        assert "security" not in operation
        assert "401" not in operation["responses"]


@OF_EVERY_SERVICE
def test_every_field_of_an_answer_says_what_it_is(service: str) -> None:
    for name, schema in described(service).get("components", {}).get("schemas", {}).items():
        for field, says in schema["properties"].items():
            assert says.get("description", "").endswith("."), (name, field)
            assert not field.endswith("At") or "epoch milliseconds" in says["description"], (name, field)


@OF_EVERY_QUERY
def test_the_example_of_an_answer_is_one(path: str, operation: Json) -> None:
    documents = [described(service) for service in SERVICES if path in described(service)["paths"]]
    for media, content in operation["responses"]["200"]["content"].items():
        if media == "application/json":
            schema = {**content["schema"], "components": documents[0]["components"]}
            Draft202012Validator(schema).validate(content["example"])
