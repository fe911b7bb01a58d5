"""Sorting on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.storage import sorted_lines
from graft.storage.sorted_lines import SortedLines


@given(
    rows=st.lists(st.tuples(st.text(max_size=2), st.text(max_size=5)), max_size=60),
    most_bytes=st.sampled_from([1, 600, 2000, 2**20]),
    most_files=st.integers(2, 5),
)
def test_it_is_a_stable_sort(
    rows: list[tuple[str, str]], most_bytes: int, most_files: int
):
    with pytest.MonkeyPatch.context() as patch, SortedLines(most_bytes) as lines:
        patch.setattr(sorted_lines, "_MOST_FILES", most_files)
        for key, line in rows:
            lines.add(key, line)
        expected = sorted(rows, key=lambda row: row[0])
        assert [tuple(row) for row in lines] == expected


def test_names_that_are_not_utf_8_are_kept():
    with SortedLines(1) as lines:
        lines.add("b\udcff", "\udcfe\n")
        lines.add("a", "\u2028")
        assert [row.line for row in lines] == ["\u2028", "\udcfe\n"]


def test_it_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with SortedLines(1) as lines:
        for number in range(9):
            lines.add(str(number), "")
        assert list(tmp_path.rglob("0*"))
    assert not list(tmp_path.iterdir())
