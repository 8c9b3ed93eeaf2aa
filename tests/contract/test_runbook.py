"""The runbook explains sentences that services really end with."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.monitored import ROOT, RUNBOOK

_TABLE = RUNBOOK.read_text().partition("| the sentence | means | do |\n")[2].partition("\n\n")[0].splitlines()[1:]
_SENTENCES = [sentence for row in _TABLE for sentence in re.findall(r"`([^`]+)`", row.split("|")[1])]


def _texts() -> Iterator[str]:
    """Every text in the code of services, with … for what is put into it."""
    for file in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


_TEXTS = list(_texts())


@pytest.mark.parametrize("sentence", _SENTENCES)
def test_a_sentence_that_is_explained_is_one_that_a_service_ends_with(sentence: str) -> None:
    named = re.sub(r"LESSON_PROGRESS_…|\(error \d+\)|\(…?\w*\)", "…", sentence)
    pattern = ".*".join(re.escape(part.strip()) for part in named.split("…"))

    assert any(re.search(pattern, text, re.DOTALL) for text in _TEXTS)


def test_there_are_sentences_that_are_explained() -> None:
    assert len(_SENTENCES) > len(_TABLE) // 2
