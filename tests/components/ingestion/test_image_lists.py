"""The lists of images for the workers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.image_lists import (
    Sizes,
    read_candidates,
    read_list,
    write_lists,
    write_plain_lists,
)
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.storage import sorted_lines


def _refs(number: int) -> list[ImageRef]:
    return [
        ImageRef(f"/x/{i}", str(i), f"c{i % 3}", "x", ("train", "test"), 1000 + i)
        for i in range(number)
    ]


@pytest.mark.parametrize(
    ("sizes", "candidates"),
    [
        # Empty files are all equal, but they are not images.
        ([5, 6, 5, 0, 0, 8], [0, 2]),
        # One of an unknown size may be a copy of any.
        ([5, None, 6, 0], [0, 1, 2]),
        # Sizes of very large files may share a number. Then they are compared.
        ([7, 7 + 2**24, 9], [0, 1]),
        ([3, 3, 3], [0, 1, 2]),
    ],
)
def test_only_equal_sizes_are_compared(sizes: list[int | None], candidates: list[int]):
    seen = Sizes()
    for size in sizes:
        seen.add(size)
    found = [place for place, size in enumerate(sizes) if seen.may_be_copy(size)]
    assert found == candidates


@given(number=st.integers(1, 40), min_shards=st.integers(0, 9), seed=st.integers())
def test_shards_are_even_ranges_of_one_order(
    tmp_path_factory: pytest.TempPathFactory, number: int, min_shards: int, seed: int
):
    folder = str(tmp_path_factory.mktemp("lists"))
    refs = _refs(number)
    one = write_lists(refs, folder, 1)
    order = list(read_list(one.tasks[0].list_path))
    assert sorted(order) == sorted(refs)

    random.Random(seed).shuffle(refs)
    found = write_lists(refs, folder, min_shards)
    lists = [list(read_list(task.list_path)) for task in found.tasks]
    assert [ref for each in lists for ref in each] == order
    assert max(map(len, lists)) - min(map(len, lists)) <= 1
    begins = [sum(map(len, lists[:place])) for place in range(len(lists))]
    assert [task.begin for task in found.tasks] == begins
    assert [task.total for task in found.tasks] == [len(lists)] * len(lists)
    assert found.num_images == found.by_class.total() == number
    assert found.free_by_class == found.by_class
    assert found.num_candidates == 0


def test_what_is_too_much_for_memory_is_sorted_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    refs = _refs(500)
    at_once = write_lists(refs, str(tmp_path / "memory"), 3)
    monkeypatch.setattr(sorted_lines, "_MOST_BYTES", 5000)
    on_disk = write_lists(refs, str(tmp_path / "disk"), 3)
    for one, other in zip(at_once.tasks, on_disk.tasks, strict=True):
        assert Path(one.list_path).read_text() == Path(other.list_path).read_text()


def test_candidates_have_their_position_in_the_list(tmp_path: Path):
    refs = [
        ref._replace(size=7 if int(ref.name) % 4 else 100 + i)
        for i, ref in enumerate(_refs(40))
    ]
    found = write_lists(refs, str(tmp_path), 2)
    assert found.num_candidates == 30
    for task in found.tasks:
        images = list(read_list(task.list_path))
        candidates = list(read_candidates(task.list_path))
        assert [images[position] for _, position in candidates] == [
            ref for ref, _ in candidates
        ]
        assert {ref for ref, _ in candidates} == {r for r in images if r.size == 7}


def test_a_plain_list_keeps_its_order(tmp_path: Path):
    refs = _refs(5)
    tasks = write_plain_lists(refs, str(tmp_path), "hashed", 2)
    found = [
        (ref, task.begin + position)
        for task in tasks
        for ref, position in read_candidates(task.list_path)
    ]
    assert found == [(ref, place) for place, ref in enumerate(refs)]
