"""The head in production is copied and verified, or there is a reason why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graft.components.publishing import store
from graft.components.publishing.production import read_production
from graft.components.publishing.served_head import copy_served_head

MakeModel = Callable[[str], str]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "digits")


@pytest.fixture
def push(make_model: MakeModel, folder: str) -> Callable[..., Path]:
    """Publish a model and return its folder in the store."""

    def publish(content: str, *, with_head: bool = True) -> Path:
        model = Path(make_model(content))
        if with_head:
            head = {"features": content, "penalty": 0.1}
            (model / "assets.extra" / "linear_head.json").write_text(json.dumps(head))
        seen = read_production(folder)
        version = store.publish(str(model), folder, {}, against=seen, keep_versions=5)
        return Path(version.path)

    return publish


def test_the_files_of_the_head_are_copied(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    push("one")
    version = push("two")
    target = tmp_path / "head"
    assert copy_served_head(folder, str(target)) == (1001, "")
    copied = sorted(p.relative_to(target) for p in target.rglob("*") if p.is_file())
    assert [str(each) for each in copied] == [
        "assets.extra/class_names.txt",
        "assets.extra/linear_head.json",
        "variables/variables.data",
        "variables/variables.index",
    ]
    for each in copied:
        assert (target / each).read_bytes() == (version / each).read_bytes()


def test_the_head_is_that_of_production_not_of_the_newest(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    push("one")
    push("two")
    store.promote(folder, 1000, seen=read_production(folder), reason="two is slow")
    assert copy_served_head(folder, str(tmp_path / "head")) == (1000, "")


def test_an_empty_store_has_no_head(folder: str, tmp_path: Path) -> None:
    found = copy_served_head(folder, str(tmp_path / "head"))
    assert found == (0, "no version is in production")


def test_a_model_that_tells_nothing_of_its_head_is_no_start(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    push("one", with_head=False)
    _, reason = copy_served_head(folder, str(tmp_path / "head"))
    assert reason == "version 1000 holds no head that a solver can start from"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("variables/variables.data", "the files of version 1000 are damaged"),
        ("assets.extra/linear_head.json", "the files of version 1000 are damaged"),
        ("assets.extra/class_names.txt", "the files of version 1000 are damaged"),
        ("graft_manifest.json", "the manifest of version 1000 is damaged"),
    ],
)
def test_a_changed_file_is_no_start(
    push: Callable[..., Path], folder: str, tmp_path: Path, file: str, reason: str
) -> None:
    path = push("one") / file
    text = path.read_text()
    path.write_text(text.replace("o", "0", 1))
    assert path.read_text() != text
    assert copy_served_head(folder, str(tmp_path / "head"))[1] == reason


def test_a_lost_file_is_no_start(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    (push("one") / "variables" / "variables.data").unlink()
    _, reason = copy_served_head(folder, str(tmp_path / "head"))
    assert reason == "the model store can't be read here"


def test_a_store_that_cannot_be_read_is_no_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    found = copy_served_head(str(file / "digits"), str(tmp_path / "head"))
    assert found[0] == 0
    assert found[1]
