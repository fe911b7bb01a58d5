"""The fingerprint changes if and only if the data change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

Make = Callable[..., Any]


def _of(path: object) -> str:
    return fingerprint(DataConfig(path=str(path)))


def _add(photos: Path) -> None:
    (photos / "cat" / "new.png").write_bytes(b"x")


def _remove(photos: Path) -> None:
    (photos / "cat" / "000.png").unlink()


def _rename(photos: Path) -> None:
    (photos / "cat" / "000.png").rename(photos / "cat" / "zzz.png")


def _relabel(photos: Path) -> None:
    (photos / "cat" / "000.png").rename(photos / "dog" / "zzz.png")


def _touch(photos: Path) -> None:
    os.utime(photos / "cat" / "000.png", ns=(1, 1))


def _add_empty_class(photos: Path) -> None:
    (photos / "emu").mkdir()


@pytest.mark.parametrize(
    "change", [_add, _remove, _rename, _relabel, _touch, _add_empty_class]
)
def test_a_change_is_noticed(photos: Path, change: Callable[[Path], None]):
    before = _of(photos)
    change(photos)
    assert _of(photos) != before


def test_hidden_files_and_the_folders_own_place_do_not_matter(photos: Path):
    before = _of(photos)
    (photos / "cat" / ".DS_Store").write_text("x")
    moved = photos.rename(photos.with_name("moved"))
    assert _of(moved) == before


def test_a_manifest_counts_with_the_files_it_names(photos: Path):
    path = photos / "list.csv"
    path.write_text("path,label\ncat/000.png,cat\ndog/000.png,dog\n")
    found = [_of(path)]
    _touch(photos)
    found.append(_of(path))
    path.write_text("path,label\ncat/000.png,dog\ndog/000.png,dog\n")
    found.append(_of(path))
    # The images that no line names are counted by a warning.
    (photos / "cat" / "001.png").unlink()
    found.append(_of(path))
    assert len(set(found)) == 4
    os.utime(photos / "cat" / "002.png", ns=(1, 1))
    (photos / "cat" / "notes.txt").write_text("x")
    assert _of(path) == found[-1]


def test_a_manifest_is_found_from_its_own_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    (photos / "list.csv").write_text("path,label\ncat/000.png,cat\n")
    absolute = _of(photos / "list.csv")
    monkeypatch.chdir(photos)
    assert _of("list.csv") == absolute


def test_built_in_sets_differ_by_name():
    assert _of("sklearn:digits") != _of("keras:mnist")


def test_no_such_folder(tmp_path: Path):
    with pytest.raises(DataError, match="must name an existing folder"):
        _of(tmp_path / "nowhere")


def test_a_hundred_thousand_files_take_seconds(tmp_path: Path):
    for number in range(100):
        (tmp_path / f"class {number}").mkdir()
        for index in range(200):
            os.mknod(tmp_path / f"class {number}" / f"{index}.jpg")
    begin = time.process_time()
    _of(tmp_path)
    # A fifth of the files, a fifth of ten seconds.
    assert time.process_time() - begin < 2
    shutil.rmtree(tmp_path)


def test_it_needs_no_heavy_package(photos: Path):
    script = (
        "import sys; from graft.components.ingestion.sources.config import DataConfig; "
        "from graft.components.ingestion.fingerprint import fingerprint; "
        f"fingerprint(DataConfig(path={str(photos)!r})); "
        "heavy = {'tensorflow', 'apache_beam', 'tfx', 'keras', 'numpy'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
