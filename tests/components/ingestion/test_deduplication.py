"""Exact copies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.deduplication import (
    copy_candidates,
    drop_copies,
    quarantine_copies,
)
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.transforms import Quarantined
from graft.contract.errors import DataError

FREE = ("train", "eval", "test")


def _ref(name: str, splits: tuple[str, ...] = FREE, size: int | None = 7):
    return ImageRef(
        f"/x/{name}", name, name.split("/", maxsplit=1)[0], "x", splits, size
    )


def _drop(refs: list[ImageRef], hashes: str, **fields: str):
    config = DataConfig(path="x", **fields)
    by_position = {p: h for p, h in enumerate(hashes) if h != "."}
    kept, groups = drop_copies(refs, by_position, config)
    return [(ref.name, ref.splits) for ref in kept], groups


def test_only_equal_sizes_are_compared():
    refs = [_ref(str(i), size=s) for i, s in enumerate([5, 6, 5, 0, 0, 8])]
    assert copy_candidates(refs) == [0, 2]


def test_unknown_sizes_are_compared_with_all_but_empty_files():
    refs = [_ref(str(i), size=s) for i, s in enumerate([5, None, 6, 0])]
    assert copy_candidates(refs) == [0, 1, 2]


def test_the_first_name_is_kept_whatever_the_order():
    refs = [_ref("a/2"), _ref("a/9"), _ref("a/1")]
    kept, (group,) = _drop(refs, "h.h")
    assert kept == [("a/9", FREE), ("a/1", FREE)]
    assert (group.kind, group.kept, group.dropped) == ("duplicate", ["a/1"], ["a/2"])


@pytest.mark.parametrize(
    ("splits", "kept"),
    [
        ([("train",), ("test",)], 1),
        ([("test",), ("eval",)], 0),
        ([("train",), ("eval",), ("train",)], 1),
        ([("train", "eval"), ("test",)], 1),
    ],
)
def test_the_copy_held_out_furthest_is_kept(splits: list[tuple[str, ...]], kept: int):
    refs = [_ref(f"a/{number}", s) for number, s in enumerate(splits)]
    found, (group,) = _drop(refs, "h" * len(refs))
    assert found == [(f"a/{kept}", splits[kept])]
    assert group.kind == "leak"


def test_kept_copies_of_two_labels_share_the_split_held_out_furthest():
    refs = [_ref("a/1", ("train",)), _ref("b/1", ("test",))]
    kept, (group,) = _drop(refs, "hh", duplicate_label_policy="keep")
    assert kept == [("a/1", ("test",)), ("b/1", ("test",))]
    assert (group.kind, group.labels) == ("label_conflict", ["a", "b"])


def test_conflicts_are_named():
    refs = [_ref(f"{label}/{i}") for i in range(7) for label in "ab"]
    with pytest.raises(DataError) as caught:
        _drop(refs, "00112233445566")
    message = str(caught.value)
    assert "7 images under more than one label: 'a/0' = 'b/0' " in message
    assert (
        "; 2 more. Delete the wrong copies, or set `duplicate_label_policy`" in message
    )


@given(
    hashes=st.lists(st.sampled_from("abcd."), min_size=1, max_size=12),
    labels=st.lists(st.sampled_from("xy"), min_size=12, max_size=12),
    bad=st.sets(st.sampled_from("abcd.")),
    policy=st.sampled_from(["drop", "keep"]),
)
def test_copies_of_an_unusable_image_are_unusable(
    hashes: list[str], labels: list[str], bad: set[str], policy: str
):
    refs = [_ref(f"{label}/{i}") for i, label in enumerate(labels[: len(hashes)])]
    config = DataConfig(path="x", duplicate_label_policy=policy)
    by_position = {p: h for p, h in enumerate(hashes) if h != "."}
    kept, groups = drop_copies(refs, by_position, config)
    content_of = dict(zip((ref.name for ref in refs), hashes, strict=True))
    read = [
        Quarantined(ref.name, ref.class_name, "cut", 7)
        for ref in kept
        if content_of[ref.name] in bad
    ]
    quarantined, others = quarantine_copies(read, groups, refs)

    # The policy drops all copies of some images before any of them is read.
    unread = {name for group in groups if not group.kept for name in group.dropped}
    names = [ref.name for ref in refs if content_of[ref.name] in bad]
    assert {image.filename for image in quarantined} == {*names} - unread
    assert all(image.class_name == image.filename[0] for image in quarantined)
    assert all(group in groups for group in others)
    counted = {name for group in others for name in group.dropped}
    assert counted.isdisjoint(image.filename for image in quarantined)
    assert len(quarantined) - len(read) + len(kept) + len(counted) == len(refs)
