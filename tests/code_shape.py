"""A check of the shape of the code: complexity and length of functions, and length of files.

Complexity is McCabe's number, counted as ruff's C901 counts it, plus what C901 leaves out: one for
every `for` and every `if` of a comprehension, for every operand of `and` and `or` after the first,
and for every conditional expression. Tests are held to the complexity alone: a long test is a long
list of facts.

Run it as `python -m tests.code_shape [FOLDER ...]`.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("anatomy", "benchmarks", "fovea", "model_build", "service", "tests", "samples")
MAX_COMPLEXITY = 10
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef
SINGLE_BRANCHES = (
    ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.IfExp | Function
)


def complexity(function: Function) -> int:
    """The complexity of a function, the functions inside it included."""
    return sum(_branches(node) for node in ast.walk(function))


def function_lines(function: Function) -> int:
    """The lines from `def` to the last, the docstring included and decorators not."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def violations(source: str, path: str) -> Iterator[str]:
    """The lines to print for one file: `path:line name what-is-too-large`."""
    limit_length = not path.startswith("tests/")
    if limit_length and (lines := len(source.splitlines())) > MAX_FILE_LINES:
        yield f"{path}:1 file lines {lines} > {MAX_FILE_LINES}"
    for function in _outermost_functions(ast.parse(source)):
        where = f"{path}:{function.lineno} {function.name}"
        if (branches := complexity(function)) > MAX_COMPLEXITY:
            yield f"{where} complexity {branches} > {MAX_COMPLEXITY}"
        if limit_length and (lines := function_lines(function)) > MAX_FUNCTION_LINES:
            yield f"{where} lines {lines} > {MAX_FUNCTION_LINES}"


def _branches(node: ast.AST) -> int:
    if isinstance(node, SINGLE_BRANCHES):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.Try | ast.TryStar):
        return int(bool(node.orelse))
    if isinstance(node, ast.Match):
        return _match_branches(node)
    return 0


def _match_branches(match: ast.Match) -> int:
    """One branch a case; a last case that takes everything is the `else` and counts nothing."""
    last = match.cases[-1]
    takes_all = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
    return len(match.cases) - int(takes_all and last.guard is None)


def _outermost_functions(tree: ast.AST) -> Iterator[Function]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function):
            yield child
        else:
            yield from _outermost_functions(child)


def _python_files(folders: list[str]) -> list[str]:
    command = ["git", "ls-files", "--", *(f"{folder}/*.py" for folder in folders)]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return listing.stdout.splitlines()


def main() -> int:
    """Print every violation in the given folders, or in all; the exit status is 1 if any is."""
    count = 0
    for path in _python_files(sys.argv[1:] or list(FOLDERS)):
        for violation in violations((ROOT / path).read_text("utf-8"), path):
            print(violation)
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
