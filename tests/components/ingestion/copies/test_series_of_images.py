"""Images that belong together by their names have a warning; others have none."""

from __future__ import annotations

import pytest

from graft.components.ingestion.copies.series_of_images import warn_of_series
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.contract.split_names import (
    EVAL_SPLIT,
    SPLITS,
    TEST_SPLIT,
    TRAIN_SPLIT,
)


def _refs(
    names: list[str], splits: tuple[str, ...] = SPLITS, classes: str = "cat dog"
) -> list[ImageRef]:
    return [
        ImageRef(name, f"{label}/{name}", label, "set", splits, None)
        for label in classes.split()
        for name in names
    ]


SERIES = {
    "frames": [f"video{v}_frame{f:04}.png" for v in range(2) for f in range(9)],
    "each tenth frame": [f"clip-{v}-{f}0.png" for v in range(3) for f in range(9)],
    "patients": [f"patient{p}_img{i}.png" for p in range(12) for i in range(4)],
    "sides of patients": [f"pat{p}_{s}.png" for p in range(12) for s in ("L", "R")],
    "folders of patients": [f"patient{p}/{i}.png" for p in range(12) for i in range(4)],
    "tracks": [f"{t:05}_{f:05}.ppm" for t in range(9) for f in range(30)],
    "X-rays": [f"{p:08}_{i:03}.png" for p in range(1, 20) for i in range(p % 4)],
    "scans": [f"CNV-{p}-{i}.jpeg" for p in (53018, 81630, 1642) for i in range(1, 9)],
    "last frames": [
        f"S{s:03}_001_{f:08}.png" for s in range(10, 20) for f in range(s, s + 5)
    ],
    "slides": [
        f"SOB_B_A-14-{slide}-40-{i:03}.png"
        for slide in ("22549AB", "22549CD", "29960AB")
        for i in range(1, 9)
    ],
}


@pytest.mark.parametrize("names", SERIES.values(), ids=SERIES)
def test_images_that_belong_together_have_a_warning(names: list[str]) -> None:
    (warning,) = warn_of_series(_refs(names))
    assert "by their names, as the frames of a video or the images of a" in warning
    assert "a manifest with the columns path, label and split" in warning
    assert "are split singly" in warning


PLAIN = {
    "counted": [f"{i}.jpg" for i in range(40)],
    "of a camera": [f"IMG_{i:04}.jpg" for i in range(40)],
    "times": [
        f"IMG_2024010{d}_12{m}17.jpg" for d in range(1, 9) for m in range(10, 20)
    ],
    "days": [f"2024-01-0{d}_{i}.jpg" for d in range(1, 9) for i in range(1, 9)],
    "years": [f"photo_{year}_{i}.jpg" for year in range(2001, 2009) for i in range(9)],
    "ImageNet": [f"n01440764_{i}.JPEG" for i in range(18, 9999, 57)],
    "birds": [f"Auk_{i:04}_{7 * i + 795}.jpg" for i in range(1, 60)],
    "UTKFace": [f"{i % 80}_0_{i % 5}_201701161743{i}.jpg" for i in range(100, 160)],
    "letters": [f"img001-{i:05}.png" for i in range(1, 60)],
    "one count over all": [f"page_{i // 9}_{i:04}.jpg" for i in range(90)],
    "hashes": [f"{i * 7919 + 2**40:x}.jpg" for i in range(40)],
    "a size": [f"photo_640x480_{i}.jpg" for i in range(40)],
    "some frames": ["video1_1.jpg", "video1_2.jpg", *(f"{i}.jpg" for i in range(40))],
}


@pytest.mark.parametrize("names", PLAIN.values(), ids=PLAIN)
def test_single_images_have_no_warning(names: list[str]) -> None:
    assert warn_of_series(_refs(names)) == []


def test_a_class_that_is_one_series_has_no_warning() -> None:
    refs = _refs([f"clip1_{i}.png" for i in range(40)])
    assert warn_of_series(refs) == []


def test_series_in_several_given_splits_have_a_warning() -> None:
    first = [f"video{v}_frame{f}.png" for v in range(5) for f in range(20)]
    last = [f"video{v}_frame{f}.png" for v in range(5) for f in range(20, 25)]
    (warning,) = warn_of_series(
        [*_refs(first, (TRAIN_SPLIT,)), *_refs(last, (TEST_SPLIT,))]
    )
    assert "and have several given splits" in warning
    # Each split may count its own videos from 0.
    both = [
        *_refs(first, (TRAIN_SPLIT,)),
        *_refs(first, (TEST_SPLIT,)),
        *_refs(first, (EVAL_SPLIT,)),
    ]
    assert warn_of_series(both) == []
