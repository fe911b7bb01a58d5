"""A node runs again when what it is made of changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graft.components.code_fingerprint import code_fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a module and a template, importable as `node_of_a_test`."""
    folder = tmp_path / "node_of_a_test"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "work.py").write_text("x = 1\n")
    (folder / "templates" / "page.html.jinja").write_text("<p>")
    (folder / "notes.txt").write_text("nobody reads this")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "node_of_a_test" not in sys.modules
    return folder


@pytest.mark.parametrize(
    ("name", "matters"),
    [("work.py", True), ("templates/page.html.jinja", True), ("notes.txt", False)],
)
def test_code_and_templates_count(package: Path, name: str, matters: bool) -> None:
    before = code_fingerprint(package.name)
    (package / name).write_text("something else")
    assert (code_fingerprint(package.name) != before) == matters


def test_one_module_stands_for_itself_alone(package: Path) -> None:
    before = code_fingerprint(f"{package.name}.work")
    (package / "templates" / "page.html.jinja").write_text("<h1>")
    assert code_fingerprint(f"{package.name}.work") == before


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        code_fingerprint("no_such_thing")
