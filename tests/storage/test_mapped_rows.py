"""Rows that are collected come back as one array, from memory or from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graft.storage import mapped_rows
from graft.storage.mapped_rows import MappedRows


@pytest.mark.parametrize("most", [0, 100, 10**6], ids=["file", "later", "memory"])
def test_rows_come_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(mapped_rows, "_BYTES_IN_MEMORY", most)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = np.random.default_rng(0).random((90, 2, 3), np.float32)
    with MappedRows() as rows:
        for start in range(0, 90, 7):
            rows.append(values[start : start + 7][:, ::-1])
        assert rows.num_bytes == values.nbytes
        found = rows.array()
    np.testing.assert_array_equal(found, values[:, ::-1])
    assert type(found) is np.ndarray
    found += 1
    assert found[3, 1, 2] == values[3, 0, 2] + 1
    # A killed process leaves nothing behind.
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_rows, "_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(
        mapped_rows.tempfile,
        "TemporaryFile",
        lambda **_: open("/dev/full", "wb"),
    )
    with pytest.raises(OSError, match="No space left"), MappedRows() as rows:
        rows.append(np.zeros((10**6, 2)))
