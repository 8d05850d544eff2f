"""The counter of the lint step counts what it says, and agrees with ruff where ruff counts too."""

import ast
import re
import subprocess
import sys
from textwrap import dedent

import pytest

from tests.code_shape import Function, complexity, function_lines, violations

PLAIN = """
    def plain(items):
        for item in items:
            if item:
                pass
            elif item is None:
                pass
            else:
                pass
        while items:
            try:
                items.pop()
            except ValueError:
                pass
            except KeyError:
                pass
            else:
                pass
        match items:
            case []:
                pass
            case [1]:
                pass
            case _:
                def inner():
                    pass
"""


def parse(source: str) -> Function:
    function = ast.parse(dedent(source)).body[0]
    assert isinstance(function, Function)
    return function


def ruffs_complexity(source: str) -> int:
    options = ["--isolated", "--select", "C901", "--config", "lint.mccabe.max-complexity=0", "-"]
    command = [sys.executable, "-m", "ruff", "check", *options]
    source = dedent(source)
    printed = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    score = re.search(r"\((\d+) > 0\)", printed.stdout)
    assert score, printed
    return int(score[1])


def test_agrees_with_ruff_on_statements() -> None:
    assert complexity(parse(PLAIN)) == ruffs_complexity(PLAIN)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("a", 1),
        ("[x for x in a]", 2),
        ("{x for x in a if x if x > 1}", 4),
        ("{x: y for x in a for y in x}", 3),
        ("a and b and c", 3),
        ("a and (b or c)", 3),
        ("b if a else c", 2),
        ("lambda: a or b", 2),
    ],
)
def test_counts_what_ruff_leaves_out(expression: str, count: int) -> None:
    assert complexity(parse(f"def f(a, b, c):\n    return {expression}")) == count


def test_length_runs_from_def_to_the_last_line() -> None:
    source = '@cache\ndef f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert function_lines(parse(source)) == 6


def test_says_where_and_how_much() -> None:
    long = "class A:\n    def m(self):\n" + "        pass\n" * 40
    branchy = "def b(a):\n    return " + " or ".join("a" * 11) + "\n"
    assert list(violations(long, "anatomy/x.py")) == ["anatomy/x.py:2 m lines 41 > 40"]
    assert list(violations(branchy, "tests/x.py")) == ["tests/x.py:1 b complexity 11 > 10"]
    assert list(violations("\n" * 301, "service/x.py")) == ["service/x.py:1 file lines 301 > 300"]
    assert not list(violations(long + "\n" * 300, "tests/x.py"))
