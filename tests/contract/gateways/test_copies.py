"""What a gateway team copies: complete, pinned, free of addresses, and told what its page says."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from ops.stacks.jars import VERSION
from tests.support.foreign_gateways import FOLDER, ON_THE_EXAMPLE
from tests.support.readme import ROOT

_POM = {"m": "http://maven.apache.org/POM/4.0.0"}
#: How a program reads a variable, by the ending of its files.
_READS = {
    "js": re.compile(r"(?:environment|settings)\.([A-Z_]+)"),
    "java": re.compile(r'(?:get|getOrDefault|containsKey)\("([A-Z_]+)"'),
}


def told() -> set[str]:
    """The variables in the table of the gateways' page."""
    rows = re.findall(r"^\| (`[A-Z].*?) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}


@pytest.mark.parametrize(("language", "ending"), [("node", "js"), ("java", "java")])
def test_a_conversation_is_told_what_the_page_says(language: str, ending: str) -> None:
    text = "".join(file.read_text() for file in sorted((FOLDER / language).glob(f"*.{ending}")))

    assert {name for name in told() if name not in text} == set()
    assert set(_READS[ending].findall(text)) - told() == set()


@pytest.mark.parametrize(("language", "ending"), [("node", "js"), ("java", "java")])
def test_every_file_is_on_its_page(language: str, ending: str) -> None:
    page = (FOLDER / language / "README.md").read_text()
    assert [file.name for file in (FOLDER / language).glob(f"*.{ending}") if f"`{file.name}`" not in page] == []


def test_node_s_packages_are_pinned_by_their_hashes_and_name_no_registry() -> None:
    lock = json.loads((FOLDER / "node" / "package-lock.json").read_bytes())
    packages = [package for place, package in lock["packages"].items() if place]

    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)
    wanted = json.loads((FOLDER / "node" / "package.json").read_bytes())["dependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())


def test_java_s_client_is_of_the_broker_s_version() -> None:
    pom = ET.parse(FOLDER / "java" / "pom.xml").getroot()  # noqa: S314 - a file of our own
    versions = {
        dependency.findtext("m:artifactId", namespaces=_POM): dependency.findtext("m:version", namespaces=_POM)
        for dependency in pom.iterfind("m:dependencies/m:dependency", _POM)
    }
    assert versions["kafka-clients"] == VERSION


@pytest.mark.parametrize("about", ON_THE_EXAMPLE.values(), ids=ON_THE_EXAMPLE)
def test_the_small_platform_has_what_a_conversation_is_about(about: dict[str, str]) -> None:
    lines = {
        name: [json.loads(line) for line in (ROOT / "examples" / "platform" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("lessons", "courseModules", "enrollments")
    }
    course_of = {module["_id"]: module["courseId"] for module in lines["courseModules"]}
    lessons = {lesson["_id"]: lesson for lesson in lines["lessons"]}
    courses = {key: course_of[lessons[about[key]]["moduleId"]] for key in about if key.endswith("LESSON")}

    assert courses["LESSON"] == courses["NEXT_LESSON"] == about["COURSE"]
    assert (about["USER_ID"], about["COURSE"]) in {(e["userId"], e["courseId"]) for e in lines["enrollments"]}
    assert course_of[lessons[about["LESSON_OF_ANOTHER_COURSE"]]["moduleId"]] != about["COURSE"]
    assert lessons[about["PREVIEW_LESSON"]]["isPreview"]
