"""What a PromQL expression asks for: the grammar that the dashboard and the alerts use, and no
more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

AGGREGATIONS = frozenset(("sum", "max", "min"))
FUNCTIONS = AGGREGATIONS | {"absent", "histogram_quantile", "increase", "rate", "time", "vector"}
OF_RANGES = frozenset(("increase", "rate"))
WORDS = frozenset(("or", "and"))
RANGE = r"\[(?:\d+[smhd]|\$__rate_interval|\$__range)\]"

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<text>"[^"]*")|(?P<range>\[[^\]]*\])|(?P<number>\d+(?:\.\d+)?)"""
    r"""|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>==|!=|=~|!~|>=|<=|[-+*/<>=(){},])"""
)


@dataclass(frozen=True)
class Asked:
    """A metric that an expression names, the labels that it picks by, and whether it asks for a
    range of it.
    """

    metric: str
    labels: frozenset[str]
    ranged: bool


def asked(expression: str) -> list[Asked]:
    """The metrics that are named; AssertionError for what is no expression of this kind."""
    tokens = list(_tokens(expression))
    _check_brackets(tokens)
    metrics: list[Asked] = []
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        position += 1
        if kind == "range":
            raise AssertionError(f"a range of what is no metric: {expression}")
        if kind != "name" or text in WORDS:
            continue
        if text in FUNCTIONS:
            position = _skip_grouping(tokens, position, text)
            assert _text_at(tokens, position) == "(", f"{text} without its argument: {expression}"
        else:
            metric, position = _metric(tokens, position, text, expression)
            metrics.append(metric)
    _check_ranges(tokens, expression)
    return metrics


def _text_at(tokens: list[tuple[str, str]], position: int) -> str:
    return tokens[position][1] if position < len(tokens) else ""


def _skip_grouping(tokens: list[tuple[str, str]], position: int, function: str) -> int:
    """The position after `by (…)`, if that follows an aggregation."""
    if function in AGGREGATIONS and _text_at(tokens, position) == "by":
        return tokens.index(("sign", ")"), position) + 1
    return position


def _metric(
    tokens: list[tuple[str, str]], position: int, name: str, expression: str
) -> tuple[Asked, int]:
    """A metric with the labels and the range that follow its name, and the position after them."""
    following = _text_at(tokens, position)
    assert following != "(", f"an unknown function {name}: {expression}"
    labels: set[str] = set()
    if following == "{":
        end = tokens.index(("sign", "}"), position)
        labels = set(_matched(tokens[position + 1 : end], expression))
        position = end + 1
    ranged = position < len(tokens) and tokens[position][0] == "range"
    if ranged:
        assert re.fullmatch(RANGE, tokens[position][1]), expression
        position += 1
    return Asked(name, frozenset(labels), ranged), position


def kept(expression: str) -> set[str]:
    """The labels that aggregations keep."""
    groups = re.findall(r"\bby \(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(expression):
        match = _TOKEN.match(expression, place)
        assert match, f"not understood from here: {expression[place:]}"
        place = match.end()
        if match.lastgroup != "space":
            yield str(match.lastgroup), match.group()


def _check_brackets(tokens: list[tuple[str, str]]) -> None:
    opened: list[str] = []
    for kind, text in tokens:
        if kind == "sign" and text in "({":
            opened.append(text)
        elif kind == "sign" and text in ")}":
            assert opened, "closed but not opened"
            assert opened.pop() + text in ("()", "{}")
    assert not opened, "opened but not closed"


def _matched(tokens: list[tuple[str, str]], expression: str) -> Iterator[str]:
    """The labels of `label="text", …`."""
    for place in range(0, len(tokens), 4):
        (kind, label), (_, operator), (value, _), *rest = tokens[place : place + 4]
        assert (kind, value) == ("name", "text"), expression
        assert operator in ("=", "!=", "=~", "!~"), expression
        assert not rest or rest == [("sign", ",")], expression
        yield label


def _check_ranges(tokens: list[tuple[str, str]], expression: str) -> None:
    """A rate is of a range, and nothing else is."""
    functions = sum(1 for kind, text in tokens if kind == "name" and text in OF_RANGES)
    ranges = sum(1 for kind, _ in tokens if kind == "range")
    assert functions == ranges, f"rates and ranges do not match: {expression}"
