"""The marks of copies in names: a short search finds what a full one does."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.copies import derived_copies
from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names import copy_marks
from graft.components.ingestion.names.copy_marks import images_of, parts_of
from graft.components.ingestion.names.folder_counts import count_folders

_PARTS = st.sampled_from(
    "thumb Thumb aug catThumb IMG IMG_E 150x150 120px 480w w480 a Ab cat 0 1 12 345 "
    "_ - . @ ( ) ~ left é 日本 original copy".split()
)
_STEMS = st.lists(_PARTS, min_size=1, max_size=7).map("".join)


@given(_STEMS, _STEMS)
def test_marks_are_the_same_for_some_images(stem: str, other: str) -> None:
    every = [*parts_of(stem, "cat")]
    some = {image for _, image in every[::2]} | {other}
    found = [*parts_of(stem, "cat", some)]
    edited = [pair for pair in every if pair[1] not in some and "(?=" in pair[0][0]]
    wanted = [pair for pair in every if pair[1] in some or pair in edited]
    assert found == wanted


@given(_STEMS)
def test_each_marked_image_is_among_the_possible_ones(stem: str) -> None:
    found = {(mark.is_at_end, image) for mark, image in parts_of(stem, "cat")}
    assert found <= {*images_of(stem)}


@pytest.mark.parametrize("separator", ["", "-"])
def test_hashes_cost_no_marks(monkeypatch: pytest.MonkeyPatch, separator: str) -> None:
    """Each hash has twenty places where a letter follows a digit, or the reverse."""
    made = []
    mark_of = copy_marks._mark_of
    monkeypatch.setattr(
        copy_marks, "_mark_of", lambda *a, **k: made.append(a) or mark_of(*a, **k)
    )
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
    names = [separator.join((each[:8], each[8:])) for each in hashes]
    detect_layout(count_folders(f"{'ab'[n % 2]}/{x}.jpg" for n, x in enumerate(names)))
    assert len(made) < len(names) / 10
    assert not any([*images_of(each)] for each in hashes)


def test_names_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("find_copies", "find_siblings"):
        find = getattr(derived_copies, name)
        monkeypatch.setattr(
            derived_copies,
            name,
            lambda classes, find=find, name=name: calls.append(name) or find(classes),
        )
    detect_layout(count_folders(f"{top}/{n}.jpg" for top in "ab" for n in range(9)))
    assert sorted(calls) == ["find_copies", "find_siblings"]
