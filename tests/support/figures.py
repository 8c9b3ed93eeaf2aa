"""The figures that the real learners' files give, whatever system they went through."""

from collections.abc import Mapping
from typing import Any


def assert_exact(report: Mapping[str, Any]) -> None:
    """Hold the report of a whole replay against the files: 36,184 completions, 10,322 certificates, no drift.

    Raises:
        AssertionError: a figure differs, or a command was not answered.
    """
    assert (report["completions"], report["certificates"]) == (36_184, 10_322)
    assert (report["distinct_certificate_ids"], report["readable_pdfs"]) == (10_322, 10_322)
    assert (report["partial"], report["zero"]) == (1_508, 659)
    assert (report["drift"], report["dead_letters"], report["problems"]) == (0, 0, [])
    assert report["answered"] == report["commands"]
