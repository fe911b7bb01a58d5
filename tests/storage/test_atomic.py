from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graft.storage import atomic, files
from graft.storage.paths import join


def test_a_file_is_written_and_replaced(folder: str) -> None:
    path = join(folder, "deep", "a.txt")
    atomic.write_text(path, "old")
    atomic.write_bytes(path, memoryview(b"new"))
    assert files.read_text(path) == "new"
    assert files.files_below(folder) == [path]


def test_after_an_error_the_old_content_stays(folder: str) -> None:
    path = join(folder, "a.txt")
    atomic.write_text(path, "old")

    def write_half() -> None:
        with atomic.replacing(path) as written:
            Path(written).write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert files.read_text(path) == "old"
    assert files.files_below(folder) == [path]


def test_a_full_disk_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text(str(path), "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# What kill -9 does at the worst moment: half of the new content is written.
_KILLED = """
import os, sys
from graft.storage import atomic
with atomic.replacing(sys.argv[1]) as written:
    with open(written, "w") as file:
        file.write("ne")
        file.flush()
        os.kill(os.getpid(), 9)
"""


def test_a_killed_writer_leaves_the_old_content(folder: str) -> None:
    if folder.startswith("memory://"):
        pytest.skip("memory ends with its process")
    path = join(folder, "a.txt")
    atomic.write_text(path, "old")
    killed = subprocess.run([sys.executable, "-c", _KILLED, path], check=False)
    assert killed.returncode == -9
    assert files.read_text(path) == "old"
    left = set(files.list_folder(folder)) - {"a.txt"}
    assert all(name.endswith(atomic.PARTIAL_SUFFIX) for name in left)


def test_a_local_file_is_flushed_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = atomic.os.fsync, atomic.os.replace
    monkeypatch.setattr(
        atomic.os, "fsync", lambda file: (done.append("fsync"), fsync(file))
    )
    monkeypatch.setattr(
        atomic.os, "replace", lambda *names: (done.append("rename"), replace(*names))
    )
    atomic.write_text(str(tmp_path / "a"), "1")
    assert done == ["fsync", "rename"]
