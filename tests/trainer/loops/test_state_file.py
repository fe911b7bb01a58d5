"""A state file names files that are there, whenever its writer was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.storage import files
from graft.trainer.loops import state_file
from graft.trainer.loops.state_file import StateFile


def _save(state: StateFile, folder: str, epoch: int) -> None:
    name = f"head-{epoch}.npz"
    (Path(folder) / name).write_text(str(epoch))
    state.replace({"file": name, "epoch": epoch}, name)


def test_the_last_content_and_its_files_stay(tmp_path: Path) -> None:
    other = tmp_path / "frozen-1.npz"
    other.touch()
    state = StateFile(str(tmp_path), "head", "one")
    assert state.read() is None
    for epoch in range(3):
        _save(state, str(tmp_path), epoch)
    content = state.read_own()
    assert content == {"fingerprint": "one", "file": "head-2.npz", "epoch": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "frozen-1.npz",
        "head-2.npz",
        "head-state.json",
    ]


def test_the_content_of_another_training_is_ignored(tmp_path: Path) -> None:
    _save(StateFile(str(tmp_path), "head", "one"), str(tmp_path), 1)
    other = StateFile(str(tmp_path), "head", "two")
    assert other.read_own() is None
    assert other.read() is not None


@pytest.mark.parametrize("step", ["write", "remove"])
def test_a_killed_writer_leaves_a_state_whose_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    state = StateFile(str(tmp_path), "head", "one")
    _save(state, str(tmp_path), 1)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        if step == "write":
            context.setattr(state_file.atomic, "write_text", die)
        else:
            context.setattr(state_file.files, "remove_file", die)
        _save(state, str(tmp_path), 2)
    content = state.read_own()
    assert content is not None
    assert content["epoch"] == (1 if step == "write" else 2)
    assert files.read_text(str(tmp_path / content["file"])) == str(content["epoch"])
    _save(state, str(tmp_path), 3)
    assert len(list(tmp_path.glob("head-*.npz"))) == 1


def test_a_state_in_a_bucket(memory_folder: str, tmp_path: Path) -> None:
    state = StateFile(memory_folder, "head", "one")
    for epoch in range(2):
        local = tmp_path / "arrays"
        local.write_text("x")
        name = f"head-{epoch}.npz"
        files.upload(str(local), f"{memory_folder}/{name}")
        state.replace({"file": name}, name)
    assert [path.rpartition("/")[2] for path in files.files_below(memory_folder)] == [
        "head-1.npz",
        "head-state.json",
    ]
