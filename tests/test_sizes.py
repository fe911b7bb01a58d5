"""Modules and functions keep to the sizes of CONTRIBUTING.md, or say why they don't."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (
    *sorted(path.parent.name for path in ROOT.glob("*/py.typed")),
    "serving/client/graft_client",
    "tests",
)
MODULE_LINES, TEST_LINES, BODY_LINES, PARAMETERS = 400, 600, 60, 7
REASON = re.compile(r"\blong(er)?\b|\barguments?\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    found = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    return sorted(path for path in found if not path.name.endswith("_pb2.py"))


def too_large(path: str, source: str) -> Iterator[str]:
    """Yield what is larger than its limit and gives no reason in its docstring."""
    tree = ast.parse(source)
    is_test = path.startswith("tests/")
    num_lines = source.count("\n")
    limit = TEST_LINES if is_test else MODULE_LINES
    if num_lines > limit and not has_reason(tree):
        yield f"{path}: {num_lines} lines"
    for node in ast.walk(tree):
        of_class = has_reason(node) if isinstance(node, ast.ClassDef) else False
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, Function) or has_reason(child):
                continue
            name = f"{path}: {child.name}"
            if (length := body_lines(child)) > BODY_LINES:
                yield f"{name} has {length} lines"
            # A fixture, an option and a component's input are parameters, too.
            is_free = is_test or "commands/" in path or path.endswith("component.py")
            number = num_parameters(child)
            if number > PARAMETERS and not is_free and not of_class:
                yield f"{name} has {number} parameters"


def has_reason(node: ast.AST) -> bool:
    return bool(REASON.search(ast.get_docstring(node) or ""))  # type: ignore[arg-type]


def body_lines(function: Function) -> int:
    """Count the lines of a function without its signature and its docstring."""
    first = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - first[0].lineno + 1 if first else 0


def num_parameters(function: Function) -> int:
    arguments = function.args
    names = [
        each.arg
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    ]
    return len([name for name in names if name not in ("self", "cls")])


def test_sizes_are_kept_or_have_a_reason() -> None:
    found = [
        problem
        for path in modules()
        for problem in too_large(
            path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        )
    ]
    assert not found, "split it, or give the reason in its docstring"


PARAMETERS_8 = "a, b, c, d, e, *, f, g, h"
LONG_BODY = "    x = 1\n" * 61


@pytest.mark.parametrize(
    ("source", "num_found"),
    [
        ("x = 1\n" * 400, 0),
        ("x = 1\n" * 401, 1),
        ('"""It is longer than others, since it is a table."""\n' * 401, 0),
        (f"def f():\n{LONG_BODY}", 1),
        (f'def f():\n    """Words."""\n{LONG_BODY}', 1),
        (f'def f():\n    """It is long on purpose."""\n{LONG_BODY}', 0),
        (f"def f({PARAMETERS_8}): ...", 1),
        (f"class C:\n    def f(self, {PARAMETERS_8}): ...", 1),
        (f'class C:\n    """Arguments."""\n    def f(self, {PARAMETERS_8}): ...', 1),
        (f'class C:\n    """All arguments."""\n    def f({PARAMETERS_8}): ...', 0),
        (f'def f({PARAMETERS_8}):\n    """Its arguments are settings."""', 0),
    ],
)
def test_what_is_too_large_is_found(source: str, num_found: int) -> None:
    assert len(list(too_large("trainer/module.py", source))) == num_found


def test_tests_may_have_many_parameters_and_more_lines() -> None:
    source = f"def f({PARAMETERS_8}): ...\n" + "x = 1\n" * 500
    assert not list(too_large("tests/test_module.py", source))
