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
    monkeypatch.setattr(mapped_rows, "_bytes_in_memory", lambda: most)
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
    monkeypatch.setattr(mapped_rows, "_bytes_in_memory", lambda: 0)
    monkeypatch.setattr(
        mapped_rows.tempfile,
        "TemporaryFile",
        lambda **_: open("/dev/full", "wb"),
    )
    with pytest.raises(OSError, match="No space left"), MappedRows() as rows:
        rows.append(np.zeros((10**6, 2)))


def test_rows_that_fit_in_memory_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mapped_rows.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb")
    )
    monkeypatch.setattr(mapped_rows, "memory_limit", lambda: 8 * 2**20)
    mapped_rows._bytes_in_memory.cache_clear()
    try:
        with MappedRows() as rows:
            rows.append(np.ones((2**17, 2), np.float32))
            assert rows.array().sum() == 2**18
        with pytest.raises(OSError, match="No space left"), MappedRows() as rows:
            rows.append(np.ones((2**17, 2), np.float32))
            rows.append(np.ones((1, 2), np.float32))
    finally:
        mapped_rows._bytes_in_memory.cache_clear()


def test_no_numbers_have_a_shape() -> None:
    with MappedRows() as rows:
        rows.append(np.zeros((5, 0), np.float32))
        assert rows.array().shape == (5, 0)
    with pytest.raises(ValueError, match="no rows"), MappedRows() as rows:
        rows.array()
