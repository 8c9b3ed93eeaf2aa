"""What the documents say is so: blocks that are generated, names, links, commands, and the checks of decisions."""

import os
import re
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from faststream.kafka import KafkaBroker

from docs.generate import declared_metrics, documents, import_contracts, with_blocks
from ops.cli import app
from shared.contracts import rejections
from shared.contracts.rejections import Rejection
from shared.contracts.topics import SERVICES, TOPICS
from shared.settings import ServiceSettings, listing
from tests.support.readme import Failed, Reader, blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
LINKING = [
    *documents(),
    *(ROOT / "examples").rglob("*.md"),
    *(ROOT / "tests" / "contract" / "gateways").rglob("*.md"),
]

_VARIABLE = re.compile(r"LESSON_PROGRESS_[A-Z_]*[A-Z](?![A-Z_…])")
_METRIC = re.compile(r"\blesson_progress_[a-z_]*[a-z]\b")
_LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)([^)#]*)#?([^)]*)\)")
_TEST = re.compile(r"\b(tests(?:/\w+)+(?:\.\w+)?)(?:::(\w+))?")
_CODE = re.compile(r"`([^`\n]+)`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_of(path: Path) -> list[str]:
    """Everything in a document that somebody would type: lines of shell blocks, and code in the text."""
    text = path.read_text()
    typed = [line for block in blocks(text) if block.is_shell for line in block.text.splitlines()]
    return typed + _CODE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def sources(*folders: str) -> dict[str, str]:
    return {name_of(p): p.read_text() for folder in folders for p in (ROOT / folder).rglob("*.py")}


def variables_of(model: Any) -> set[str]:
    return {variable for variable, _, _ in listing(model)}


def settings_of(service: str) -> set[str]:
    return variables_of(import_module(f"services.{service}.settings").Settings)


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_what_is_generated_is_as_the_code_says(document: Path) -> None:
    assert with_blocks(document.read_text()) == document.read_text(), "run `python -m docs.generate`"


def test_every_metric_is_in_the_runbook_and_every_metric_in_a_document_exists() -> None:
    declared = {metric.name for service in SERVICES for metric in declared_metrics(service)}
    literals = {
        name for text in sources("services", "shared").values() for name in re.findall(r'"(lesson_progress_\w+)"', text)
    }
    in_documents = {name for document in documents() for name in _METRIC.findall(document.read_text())}

    assert literals <= {*declared, *(name.removesuffix("_total") for name in declared)}
    assert declared <= set(_METRIC.findall((ROOT / "docs" / "runbook.md").read_text()))
    assert in_documents <= declared


def test_every_variable_that_is_read_is_in_the_readme_and_every_variable_in_a_document_is_read() -> None:
    code = "\n".join([*sources("services", "shared", "ops", "tests").values(), (ROOT / "Makefile").read_text()])
    read = set(_VARIABLE.findall(code)) | {v for service in SERVICES for v in settings_of(service)}

    assert read == set(_VARIABLE.findall(README.read_text()))
    for document in documents():
        assert set(_VARIABLE.findall(document.read_text())) <= read, document


@pytest.mark.parametrize("document", LINKING, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, anchor in _LINK.findall(re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)):
        found = (document.parent / target) if target else document
        assert found.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, anchor


def test_every_command_of_the_readme_is_run_by_its_reader_or_by_the_gate() -> None:
    gate = (ROOT / ".ci" / "run").read_text().splitlines()
    for block in blocks(README.read_text()):
        if block.is_shell and not {"run", "background"} & set(block.marks):
            for line in block.text.splitlines():
                assert any(ran == line or ran.startswith(f"{line} ") for ran in gate), f"nobody runs `{line}`"


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_command_in_a_document_exists_with_its_options(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for typed in code_of(document):
        for target in re.findall(r"^make ([a-z-]+)", typed):
            assert target in targets, typed
        for words in re.findall(r"\blesson-progress((?: +[^\s;|)]+)+)", typed):
            _follow(words.split(), typed)


def _follow(words: list[str], typed: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in words:
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        if word.startswith("--"):
            assert word in options, typed
        elif hasattr(command, "commands") and word != "…":
            assert word in command.commands, typed
            command = command.commands[word]


@pytest.mark.parametrize("service", SERVICES)
def test_every_rooms_card_names_its_topics_its_metrics_and_its_settings(service: str) -> None:
    card = (ROOT / "services" / service / "README.md").read_text()
    shared_metrics = set.intersection(*({m.name for m in declared_metrics(s)} for s in SERVICES))
    own_metrics = {m.name for m in declared_metrics(service)} - shared_metrics
    own_settings = {v.rpartition("__")[2] for v in settings_of(service) - variables_of(ServiceSettings)}
    topics = {t.name for t in TOPICS.values() if service in (*t.producers, *t.consumers)} - {"progress.replies"}

    for name in topics | own_metrics | own_settings:
        assert name in card, f"the card of {service} does not name {name}"


def test_every_reason_a_command_is_refused_for_is_in_the_readme() -> None:
    modules = [rejections, import_module("services.progress.domain")]
    modules += [import_module(f"services.{service}.messaging") for service in SERVICES]
    reasons = {r for module in modules for r in vars(module).values() if isinstance(r, Rejection)}

    for rejection in reasons:
        assert f"| {rejection.code} | {rejection.reason} |" in README.read_text()


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_every_decision_names_checks_that_exist(decision: Path) -> None:
    text = decision.read_text()
    parts = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", text, re.MULTILINE))
    checks = [line for line in parts["The check"].splitlines() if line.startswith("- ")]

    assert text.startswith(f"# {decision.name[:4]}: ")
    assert list(parts) == ["Context", "Decision", "Consequences", "The check"]
    assert checks
    for check in checks:
        if contract := re.fullmatch(r'- import contract: "(.+)"', check):
            assert contract[1] in import_contracts(), check
            continue
        file, test = re.fullmatch(r"- `(tests/[\w/]+\.py)::(\w+)`", check).groups()  # type: ignore[union-attr]
        assert is_defined(test, ROOT / file), check


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_test_and_every_file_of_tests_that_a_document_names_exists(document: Path) -> None:
    for named, test in _TEST.findall(document.read_text()):
        place = ROOT / named
        assert place.exists(), f"{named} is not there"
        if test:
            assert is_defined(test, place), f"{named}::{test} is not there"


def is_defined(test: str, file: Path) -> bool:
    return re.search(rf"^ *(async )?def {test}\(", file.read_text(), re.MULTILINE) is not None


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(decision.name[:4]) for decision in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize(
    ("block", "story"),
    [
        ("```bash run\necho said; false\n```\n", "line 2: ended with exit code 1\n$ echo said; false\nsaid\n"),
        ("```bash run exit=3\nexit 2\n```\n", "ended with exit code 2"),
        ("```bash run seconds=0.1\nsleep 30\n```\n", "took longer than 0 s"),
        ("```bash background until=never\nexit 4\n```\n", "ended with exit code 4"),
        ("```bash background until=never seconds=0.1\nsleep 30\n```\n", "made no never within 0 s"),
        ("```bash background until=there\ntouch there\n```\n```bash run\nsleep 0.5\n```\n", "ended by itself"),
    ],
)
def test_a_document_that_promises_too_much_is_told_where_and_why(tmp_path: Path, block: str, story: str) -> None:
    with pytest.raises(Failed, match=re.escape(story)):
        Reader(tmp_path, tmp_path).follow(block)


def test_a_document_is_followed_in_order_and_nothing_it_started_is_left(tmp_path: Path) -> None:
    server = "```bash background until=pid\necho $$ > pid; exec sleep 60\n```\n"
    file = "```python save=hello.py\nprint('hello')\n```\n```bash\nexit 9\n```\n"
    done = Reader(tmp_path, tmp_path).follow(
        server + file + "```bash run\npython3 hello.py > heard; kill -0 $(cat pid)\n```\n"
    )

    assert done == 3
    assert (tmp_path / "heard").read_text() == "hello\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# What decisions promise, where nothing else checks it.


def test_no_service_reads_a_topic_that_it_also_writes() -> None:
    for topic in TOPICS.values():
        assert not set(topic.producers) & set(topic.consumers), topic.name


def test_only_the_loop_subscribes() -> None:
    subscribing = {
        name
        for name, text in sources("services", "shared").items()
        if re.search(r"^(from|import) faststream", text, re.MULTILINE)
    }

    assert subscribing == {"shared/kafka/subscription.py"}


def test_no_service_knows_the_stacks_nor_which_server_is_which() -> None:
    for name, text in sources("services", "shared").items():
        assert not re.search(r"^(from|import) ops\b|tansu|secantus|calfkit", text, re.MULTILINE | re.IGNORECASE), name


async def test_the_library_still_sleeps_after_an_empty_fetch() -> None:
    class Quiet:
        async def getmany(self, **_: Any) -> dict[Any, Any]:
            return {}

    subscriber: Any = KafkaBroker().subscriber("topic", batch=True, batch_timeout_ms=100)
    started = time.monotonic()
    await subscriber.get_msg(Quiet())

    assert time.monotonic() - started >= 0.1
