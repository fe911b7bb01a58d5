"""A node runs anew when code changes that decides its output."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from graft.pipeline import pipeline

ROOT = Path(__file__).resolve().parents[2]

# Config arrives as an execution property.
_DECIDE_NOTHING = {"graft.trainer.config"}


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (
            "graft.trainer.preprocessing.image_preprocessing",
            pipeline._PREPROCESSING_CODE,
        ),
        ("graft.components.features.extraction", pipeline._FEATURES_CODE),
    ],
)
def test_every_module_behind_a_node_is_named(start, named):
    imported = {name for name in _imports(start) if name.startswith("graft.trainer.")}
    assert len(imported) > 5
    assert all(name.startswith(named) for name in imported - _DECIDE_NOTHING)


def _imports(start: str) -> set[str]:
    """Return the modules of ours that a module imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        path = ROOT / f"{module.removeprefix('graft.').replace('.', '/')}.py"
        if module in found or not path.is_file():
            continue
        found.add(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module]
                waiting += [f"{node.module}.{name.name}" for name in node.names]
    return found
