"""An artifact that refers to a store finds the very rows, or says what is gone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from graft.storage import files
from graft.storage.content_store.references import (
    MissingFileError,
    StoredRows,
    copy_reference,
    read_reference,
    refer,
)
from graft.storage.content_store.store import ContentStore
from graft.storage.content_store.store_upkeep import pinned, prune

KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(6)]
VALUES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class Case:
    """A store of two files, and an artifact that refers to it."""

    def __init__(self, store: str, artifact: str) -> None:
        self.store = ContentStore(store, {"engine": "a"}).open()
        self.store.put(KEYS[:4], VALUES[:4])
        self.store.put(KEYS[4:], VALUES[4:])
        self.artifact = artifact
        self.names, self.rows = self.store.places(KEYS)
        refer(artifact, store, set(self.names))

    def read(self, artifact: str | None = None) -> np.ndarray:
        reference = read_reference(artifact or self.artifact)
        assert reference is not None
        rows = np.array(self.rows[::-1])
        found: np.ndarray = StoredRows(reference).read(
            self.names[::-1], rows, KEYS[::-1]
        )
        return found


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(str(tmp_path / "output/store"), str(tmp_path / "output/artifacts/7"))


def test_rows_are_read_by_their_places(case: Case) -> None:
    np.testing.assert_array_equal(case.read(), VALUES[::-1])
    assert read_reference(f"{case.artifact}/nowhere") is None


def test_a_store_on_s3_is_read_too(s3_folder: str) -> None:
    case = Case(f"{s3_folder}/store", f"{s3_folder}/artifacts/7")
    np.testing.assert_array_equal(case.read(), VALUES[::-1])
    assert not [path for path in files.files_below(s3_folder) if "pins" in path]


def test_store_and_artifact_can_be_moved_together(case: Case, tmp_path: Path) -> None:
    (tmp_path / "output").rename(tmp_path / "moved")
    found = case.read(str(tmp_path / "moved/artifacts/7"))
    np.testing.assert_array_equal(found, VALUES[::-1])


@pytest.mark.parametrize("harm", ["gone", "cut", "of another store", "renamed"])
def test_what_is_not_there_is_told(case: Case, harm: str, tmp_path: Path) -> None:
    path = Path(case.store.folder, case.names[0])
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif harm == "of another store":
        other = ContentStore(str(tmp_path / "other"), {"engine": "b"}).open()
        other.put(KEYS, VALUES + 1)
        (source,) = Path(other.namespace_folder).glob("*.arrow")
        shutil.copy(source, path)
    else:
        other_file = Path(case.store.folder, case.names[-1])
        path.write_bytes(other_file.read_bytes())
    with pytest.raises(MissingFileError, match="is missing or damaged"):
        case.read()


@pytest.mark.parametrize("row", [-1, 4, 1])
def test_a_place_of_another_image_is_not_believed(case: Case, row: int) -> None:
    case.rows[0] = row
    with pytest.raises(MissingFileError):
        case.read()


def test_a_file_that_changes_after_it_was_verified_is_verified_again(
    case: Case,
) -> None:
    reference = read_reference(case.artifact)
    assert reference is not None
    rows = StoredRows(reference)
    places = np.array(case.rows)
    np.testing.assert_array_equal(rows.read(case.names, places, KEYS), VALUES)
    path = Path(case.store.folder, case.names[0])
    content = bytearray(path.read_bytes())
    content[content.find(VALUES[1].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(MissingFileError):
        rows.read(case.names, places, KEYS)


def test_what_an_artifact_refers_to_is_not_pruned(case: Case) -> None:
    folder, name = case.store.folder, case.store.namespace
    os.utime(Path(folder, name, "namespace.json"), (0, 0))
    assert prune(folder, 3600) == []
    assert pinned(folder) == {name: [case.artifact]}
    np.testing.assert_array_equal(case.read(), VALUES[::-1])
    copy = f"{case.artifact}0"
    copy_reference(case.artifact, copy)
    shutil.rmtree(case.artifact)
    assert prune(folder, 3600) == []
    assert pinned(folder) == {name: [copy]}
    np.testing.assert_array_equal(case.read(copy), VALUES[::-1])
    shutil.rmtree(copy)
    assert prune(folder, 3600) == [case.store.namespace_folder]


def test_a_pipeline_that_was_removed_as_a_whole_pins_nothing(case: Case) -> None:
    os.utime(Path(case.store.namespace_folder, "namespace.json"), (0, 0))
    shutil.rmtree(Path(case.artifact).parent)
    assert prune(case.store.folder, 3600) == [case.store.namespace_folder]


def test_a_moved_artifact_still_pins(case: Case, tmp_path: Path) -> None:
    os.utime(Path(case.store.namespace_folder, "namespace.json"), (0, 0))
    (tmp_path / "output").rename(tmp_path / "moved")
    folder = str(tmp_path / "moved/store")
    assert prune(folder, 3600) == []
    shutil.rmtree(tmp_path / "moved/artifacts/7")
    assert len(prune(folder, 3600)) == 1


def test_an_artifact_out_of_sight_still_pins(case: Case) -> None:
    """A pod may see the store alone."""
    os.utime(Path(case.store.namespace_folder, "namespace.json"), (0, 0))
    shutil.rmtree(case.artifact)
    (path,) = Path(case.store.namespace_folder, "pins").iterdir()
    path.write_text(json.dumps({"artifact": "/proc/of/another/machine"}))
    assert prune(case.store.folder, 3600) == []
    path.write_text("no JSON")
    assert prune(case.store.folder, 3600) == []
    assert pinned(case.store.folder) == {case.store.namespace: [str(path)]}
