"""Profiles count image properties, and shifts compare two profiles."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from graft.components.quality.profile import Traits, profile_of, shifts, values_of

IMAGE = Traits("cat", "jpeg", 640, 480, brightness=120, contrast=50, sharpness=400)


def classes(**counts: int) -> dict[str, dict[str, int]]:
    return {"class": counts}


def test_a_profile_counts_every_property() -> None:
    dark = replace(IMAGE, class_name="dog", brightness=3, width=20, height=40)
    profile = profile_of([IMAGE, IMAGE, dark])
    assert profile == {
        "class": {"cat": 2, "dog": 1},
        "format": {"jpeg": 3},
        "longer edge, px": {"0 to 64": 1, "512 to 1024": 2},
        "width / height": {"0.5 to 0.67": 1, "1.25 to 1.5": 2},
        "brightness": {"0 to 32": 1, "96 to 128": 2},
        "contrast": {"48 to 64": 3},
        "sharpness": {"300 to 1000": 3},
    }
    assert json.loads(json.dumps(profile)) == profile


def test_ranges_keep_their_order_and_names_are_sorted() -> None:
    found = ["1024 to 2048", "64 to 128", "2048 and more"]
    assert values_of("longer edge, px", found) == [
        "64 to 128",
        "1024 to 2048",
        "2048 and more",
    ]
    assert values_of("class", ["b", "a"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after", "divergence", "largest"),
    [
        (classes(a=10, b=30), classes(a=100, b=300), 0.0, 0.0),
        (classes(a=10), classes(b=10), 1.0, 1.0),
        # 0.5 (1 log2 4/3) + 0.5 (0.5 log2 2/3 + 0.5 log2 2)
        (classes(a=10), classes(a=5, b=5), 0.3113, 0.5),
    ],
    ids=["same shares", "nothing in common", "by hand"],
)
def test_divergence(
    before: dict[str, dict[str, int]],
    after: dict[str, dict[str, int]],
    divergence: float,
    largest: float,
) -> None:
    (shift,) = shifts(before, after)
    assert shift.divergence == pytest.approx(divergence, abs=1e-4)
    assert abs(shift.after - shift.before) == pytest.approx(largest)


def test_chance_is_exceeded_by_one_in_a_hundred_draws_of_the_same_source() -> None:
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    found = []
    for _ in range(4000):
        old, new = (rng.multinomial(number, shares) for number in (300, 900))
        before, after = (
            classes(**{f"c{i}": int(n) for i, n in enumerate(counts)})
            for counts in (old, new)
        )
        found += shifts(before, after)
    exceeding = np.mean([shift.divergence > shift.chance for shift in found])
    assert exceeding == pytest.approx(0.01, abs=0.006)


def test_the_greatest_shift_comes_first_and_a_property_unknown_then_is_left_out() -> (
    None
):
    before = {"class": {"a": 5, "b": 5}, "format": {"png": 10}}
    after = {"class": {"a": 6, "b": 4}, "format": {"gif": 9, "png": 1}, "new": {"x": 1}}
    assert [shift.name for shift in shifts(before, after)] == ["format", "class"]
