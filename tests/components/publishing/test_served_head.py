"""The head in production is found and verified, or there is a reason why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graft.components.publishing import store
from graft.components.publishing.production import read_production
from graft.components.publishing.served_head import ServedHead, find_served_head
from graft.storage import copying

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


def test_the_head_of_a_local_store_is_read_where_it_is(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    push("one")
    version = push("two")
    scratch = tmp_path / "head"
    found = find_served_head(folder, str(scratch))
    assert found == ServedHead(1001, str(version))
    assert not scratch.exists()


def test_the_files_of_a_head_in_a_bucket_are_copied(
    push: Callable[..., Path], folder: str, tmp_path: Path, memory_folder: str
) -> None:
    version = push("one")
    copying.copy_folder(folder, f"{memory_folder}/digits")
    target = tmp_path / "head"
    found = find_served_head(f"{memory_folder}/digits", str(target))
    assert found == ServedHead(1000, str(target))
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
    assert find_served_head(folder, str(tmp_path / "head")).version == 1000


def test_an_empty_store_has_no_head(folder: str, tmp_path: Path) -> None:
    found = find_served_head(folder, str(tmp_path / "head"))
    assert found == ServedHead(0, obstacle="no version is in production")


def test_a_model_that_tells_nothing_of_its_head_is_no_start(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    push("one", with_head=False)
    found = find_served_head(folder, str(tmp_path / "head"))
    assert found.obstacle == "version 1000 holds no head that a solver can start from"


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
    assert find_served_head(folder, str(tmp_path / "head")).obstacle == reason


def test_a_lost_file_is_no_start(
    push: Callable[..., Path], folder: str, tmp_path: Path
) -> None:
    (push("one") / "variables" / "variables.data").unlink()
    found = find_served_head(folder, str(tmp_path / "head"))
    assert found.obstacle == "the model store can't be read here"


def test_a_store_that_cannot_be_read_is_no_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    found = find_served_head(str(file / "digits"), str(tmp_path / "head"))
    assert found.version == 0
    assert found.obstacle
