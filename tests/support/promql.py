"""Reads PromQL far enough to say which series an expression asks for, by which labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\s*\{{((?:{_STRING}|[^}}])*)\}}")
_MATCHER = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a selector."""

    series: str
    label: str
    operator: str
    value: str


def series_in(expression: str) -> set[str]:
    """The names of the series that an expression selects."""
    bare = _SELECTOR.sub(r" \1 ", expression)
    bare = re.sub(_STRING, " ", bare)
    for gone in (_GROUPING, _DURATION):
        bare = gone.sub(" ", bare)
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


def matchers_in(expression: str) -> Iterator[Matcher]:
    """Every condition on a label, with the series it is asked of."""
    for name, inside in _SELECTOR.findall(expression):
        for label, operator, value in _MATCHER.findall(inside):
            yield Matcher(name, label, operator, value[1:-1])


def grouping_in(expression: str) -> set[str]:
    """The labels that an expression groups or joins by."""
    return {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",") if label.strip()}
