"""An index is believed if it follows from its file, and is written again if not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graft.storage import atomic, files
from graft.storage.content_store.index_file import FileIndex, index_path, read_index
from graft.storage.content_store.rows_file import encode_rows, read_rows
from graft.storage.content_store.store import ContentStore
from graft.storage.content_store.store_upkeep import prune

PARTS = {"engine": "a"}
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(6)]
VALUES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
OTHER_KEY = hashlib.sha256(b"another image").digest()


def forged(index: FileIndex, **columns: np.ndarray) -> bytes:
    """Return a sound index file that tells something else."""
    entries = index.entries.copy()
    for name, values in columns.items():
        entries[name] = values
    return replace(index, entries=entries).encode()


HARMS: dict[str, Callable[[FileIndex, bytes], bytes | None]] = {
    "missing": lambda index, content: None,
    "empty": lambda index, content: b"",
    "cut": lambda index, content: content[:-1],
    "longer": lambda index, content: content + b"\0",
    "a byte": lambda index, content: content[:90] + b"?" + content[91:],
    "of another file": lambda index, content: replace(
        index, file="0" * 64 + ".arrow"
    ).encode(),
    "of another namespace": lambda index, content: replace(
        index, namespace="0" * 32
    ).encode(),
    "of another kind": lambda index, content: replace(index, kind="u").encode(),
    "rows swapped": lambda index, content: forged(
        index, row=index.entries["row"][::-1]
    ),
    "a wrong key": lambda index, content: forged(index, key=OTHER_KEY),
    "a row is no more usable": lambda index, content: forged(index, is_usable=False),
}


def harm(folder: str, how: str) -> tuple[str, bytes]:
    """Harm the index of the only file; return its path and what it was."""
    (path,) = (path for path in files.files_below(folder) if path.endswith(".arrow"))
    index = read_index(path)
    assert index is not None
    content = files.read_bytes(index_path(path))
    changed = HARMS[how](index, content)
    if changed is None:
        files.remove_file(index_path(path))
    else:
        atomic.write_bytes(index_path(path), changed)
    return index_path(path), content


@pytest.mark.parametrize("how", HARMS)
def test_a_harmed_index_changes_no_answer(tmp_path: Path, how: str) -> None:
    ContentStore(str(tmp_path), PARTS).open().put(KEYS, VALUES)
    path, content = harm(str(tmp_path), how)
    store = ContentStore(str(tmp_path), PARTS).open()
    assert OTHER_KEY not in store
    if how != "a row is no more usable":
        np.testing.assert_array_equal(store.read(KEYS), VALUES)
        assert files.read_bytes(path) == content
    assert store.damaged == []


@pytest.mark.parametrize("how", ["missing", "cut", "rows swapped"])
def test_a_harmed_index_on_a_bucket_changes_no_answer(s3_folder: str, how: str) -> None:
    ContentStore(s3_folder, PARTS).open().put(KEYS, VALUES)
    path, content = harm(s3_folder, how)
    store = ContentStore(s3_folder, PARTS).open()
    np.testing.assert_array_equal(store.read(KEYS), VALUES)
    assert files.read_bytes(path) == content
    assert store.damaged == []


def test_an_index_that_can_not_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ContentStore(str(tmp_path), PARTS).open().put(KEYS, VALUES)
    path, _ = harm(str(tmp_path), "rows swapped")
    write = atomic.write_bytes

    def refused(target: str, content: bytes) -> None:
        if target == path:
            raise PermissionError(13, "Permission denied", target)
        write(target, content)

    monkeypatch.setattr(atomic, "write_bytes", refused)
    for _ in range(2):
        store = ContentStore(str(tmp_path), PARTS).open()
        np.testing.assert_array_equal(store.read(KEYS), VALUES)
    harm(str(tmp_path), "missing")
    store = ContentStore(str(tmp_path), PARTS).open()
    np.testing.assert_array_equal(store.read(KEYS), VALUES)


def test_an_index_of_a_file_that_is_gone_is_ignored_and_pruned(tmp_path: Path) -> None:
    store = ContentStore(str(tmp_path), PARTS).open()
    store.put(KEYS[:3], VALUES[:3])
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    store.put(KEYS[3:], VALUES[3:])
    shutil.move(path, f"{path}.damaged")
    again = ContentStore(str(tmp_path), PARTS).open()
    assert again.which(KEYS).tolist() == [False] * 3 + [True] * 3
    assert prune(str(tmp_path), 3600) == [f"{path}.damaged", index_path(str(path))]
    assert len(list(Path(store.namespace_folder).glob("*.index"))) == 1


def test_an_index_tells_where_the_rows_begin() -> None:
    content = bytes(encode_rows("0" * 32, KEYS, VALUES))
    rows = read_rows(content, "0" * 32)
    index = FileIndex.of("0" * 64 + ".arrow", "0" * 32, rows)
    length = VALUES.nbytes
    assert content[index.position : index.position + length] == VALUES.tobytes()
    assert (index.row_bytes, index.num_numbers) == (12, 3)
    assert index.by_row()["key"].tolist() == KEYS
