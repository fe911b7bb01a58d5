"""Small folders with the files of a SavedModel that publishing reads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MakeModel = Callable[[str], str]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Make a model whose files depend only on a text."""

    def make(content: str) -> str:
        folder = tmp_path / "models" / content
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        (folder / "assets.extra").mkdir(exist_ok=True)
        (folder / "saved_model.pb").write_text(f"graph {content}")
        (folder / "variables" / "variables.index").write_text(f"index {content}")
        (folder / "variables" / "variables.data").write_bytes(content.encode() * 1000)
        (folder / "assets.extra" / "class_names.txt").write_text("cat\ndog\n")
        return str(folder)

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Versions are numbered 1000, 1001 and so on."""
    seconds = itertools.count(1000)
    monkeypatch.setattr(time, "time", lambda: float(next(seconds)))
    yield
