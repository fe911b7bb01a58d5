"""Leaks, copies, poor images and doubtful labels, on synthetic pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from graft.components.quality import checks, copy_checks, feature_checks
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.feature_table import FeatureTable
from graft.components.quality.findings import Findings
from graft.components.quality.image_statistics import measure_image
from graft.components.quality.image_table import Example, ImageTable
from graft.components.quality.search_results import search_here

DEFAULTS = DataQualityConfig()


def scene(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """Return a picture of random smooth shapes with sharp edges."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    picture = rough.resize(size, Image.Resampling.BICUBIC)
    for _ in range(6):
        x, y = rng.integers(0, size[0] - 20), rng.integers(0, size[1] - 20)
        colour = tuple(int(each) for each in rng.integers(0, 255, 3))
        picture.paste(colour, (x, y, x + 18, y + 14))
    return picture


def encode(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **{"format": "PNG", **options})
    return buffer.getvalue()


def example(
    encoded: bytes, name: str, split: str = "train", label: str = "a"
) -> Example:
    return Example(name, f"{name}.png", label, split, measure_image(encoded))


def pairs_of(found: Findings) -> list[tuple[str, str | None]]:
    """Return the names of each finding's images."""
    return [
        (
            found.table.filename(each.image),
            None if each.other is None else found.table.filename(each.other),
        )
        for each in found.first(len(found))
    ]


def find_pairs(
    examples: list[Example], config: DataQualityConfig = DEFAULTS
) -> dict[str, Findings]:
    images = ImageTable.of(examples)
    return copy_checks.find_pairs(images, search_here(images, config), config)


def find_poor_images(
    examples: list[Example], config: DataQualityConfig = DEFAULTS
) -> dict[str, Findings]:
    return checks.find_poor_images(ImageTable.of(examples), config)


def table_of(stored: dict[str, np.ndarray]) -> FeatureTable:
    values = np.array(list(stored.values()), np.float32)
    return FeatureTable.of([(list(stored), values)] if stored else [])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: encode(p, format="JPEG", quality=50),
        lambda p: encode(p.resize((240, 180))),
        lambda p: encode(p.resize((60, 45))),
        lambda p: encode(p.point(lambda level: min(255, int(level * 1.02)))),
        lambda p: encode(p.convert("L")),
    ],
    ids=["jpeg", "larger", "smaller", "brighter", "grey"],
)
def test_a_changed_copy_in_another_split_is_a_leak(change: object) -> None:
    assert callable(change)
    others = [example(encode(scene(seed)), f"other{seed}") for seed in range(1, 30)]
    copy = example(change(scene(0)), "copy", split="train")
    found = find_pairs(
        [example(encode(scene(0)), "x", "test"), *others, copy], DEFAULTS
    )
    assert pairs_of(found["leaks"]) == [("copy.png", "x.png")]
    assert not len(found["label_conflicts"])


def test_different_pictures_are_no_copies() -> None:
    examples = [
        example(encode(scene(seed)), str(seed), "test" if seed % 2 else "train")
        for seed in range(60)
    ]
    assert not len(find_pairs(examples)["leaks"])


def test_a_copy_with_another_label_is_a_conflict() -> None:
    encoded = encode(scene(0))
    first = example(encoded, "x", label="cat")
    second = example(encode(scene(0), format="JPEG", quality=80), "y", label="dog")
    found = find_pairs([first, second], DEFAULTS)
    (finding,) = found["label_conflicts"].first(10)
    assert "cat here, dog there" in finding.message
    assert not len(found["leaks"])


def test_poor_images_are_told_apart() -> None:
    pictures = {
        "sound": scene(0, (400, 300)),
        "blank": Image.new("RGB", (100, 100), (90, 140, 60)),
        "dark": scene(1).point(lambda level: level // 14),
        "blurred": scene(2, (400, 300)).filter(ImageFilter.GaussianBlur(8)),
        "tiny": scene(3).resize((7, 40)),
    }
    examples = [example(encode(each), name) for name, each in pictures.items()]
    found = find_poor_images(examples, DEFAULTS)
    assert {name: pairs_of(each) for name, each in found.items()} == {
        name: [(f"{name}.png", None)] for name in ("blank", "dark", "blurred", "tiny")
    }


RED, GREEN = (255, 0, 0), (0, 130, 0)  # of the same grey level


def _halves(left: tuple[int, ...], right: tuple[int, ...], at: int) -> Image.Image:
    picture = Image.new("RGB", (300, 200), right)
    picture.paste(left, (0, 0, at, 200))
    return picture


@pytest.mark.parametrize("options", [{}, {"format": "JPEG", "quality": 92}])
def test_colours_of_the_same_grey_level_are_no_blank_image(
    options: dict[str, object],
) -> None:
    grey = _halves(RED, GREEN, 150).convert("L")
    assert len(grey.getcolors()) == 1
    picture = example(encode(_halves(RED, GREEN, 150), **options), "x")
    assert not any(map(len, find_poor_images([picture]).values()))
    blank = example(encode(Image.new("RGB", (300, 200), RED), **options), "blank")
    assert len(find_poor_images([blank])["blank"]) == 1
    # Two of them are copies only if they show the same.
    same = example(encode(_halves(RED, GREEN, 150), **options), "y", "test")
    other = example(encode(_halves(RED, GREEN, 60), **options), "z", "test")
    pairs = find_pairs([picture, same, other])["leaks"]
    assert pairs_of(pairs) == [("x.png", "y.png")]


def test_a_check_that_is_off_finds_nothing() -> None:
    blank = example(encode(Image.new("L", (50, 50))), "blank")
    off = DataQualityConfig(blank="off", dark="off", blurred="off")
    assert not any(map(len, find_poor_images([blank], off).values()))


@pytest.mark.parametrize("least", [1e8, 0], ids=["one thread", "all threads"])
def test_swapped_labels_are_found_and_right_ones_are_not(
    least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_checks, "_LARGE_PROBLEM", least)
    rng = np.random.default_rng(0)
    statistics = measure_image(encode(scene(0)))
    examples, stored = [], {}
    for index in range(300):
        label = ("cat", "dog", "fox")[index % 3]
        centre = np.eye(3)[index % 3] * 4
        stored[str(index)] = np.concatenate([centre, np.zeros(5)]) + rng.normal(size=8)
        given = "dog" if index in (0, 30, 60) else label
        examples.append(Example(str(index), f"{index}.png", given, "train", statistics))
    images = ImageTable.of(examples)
    errors = feature_checks.find_label_errors(images, table_of(stored))
    found = {images.content_hash(index) for index in errors.images}
    assert {"0", "30", "60"} <= found
    assert len(found) <= 8
    facts = errors.facts(list(errors.images).index(0))
    assert facts["suggestion"] == "cat"
    assert 0.5 < facts["confidence"] <= 1
    # What a person confirmed is no longer asked for, and the others still are.
    sure = feature_checks.find_label_errors(images, table_of(stored), {"0", "60"})
    left = {images.content_hash(index) for index in sure.images}
    assert left == found - {"0", "60"}
    assert sure.facts(list(sure.images).index(30))["suggestion"] == "cat"
    assert "cat has 0." in sure.tell(list(sure.images).index(30))
    # More than a stated number of features are not held, and counted.
    with monkeypatch.context() as patch:
        patch.setattr(feature_checks, "MOST_NUMBERS", 8 * 200)
        some = feature_checks.find_label_errors(images, table_of(stored))
    assert some.not_searched == {"images, for doubtful labels": 100}
    # Held-out splits are not checked here.
    held_out = [
        Example(e.content_hash, e.filename, e.class_name, "test", e.statistics)
        for e in examples
    ]
    table = ImageTable.of(held_out)
    assert not len(feature_checks.find_label_errors(table, table_of(stored)))


@pytest.mark.parametrize("at_once", [7, 1 << 15])
def test_copies_are_found_by_their_features_too(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_checks, "_OTHERS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    statistics = measure_image(encode(scene(0)))
    examples, stored = [], {}
    for index in range(200):
        split = "eval" if index % 4 == 0 else "train"
        examples.append(Example(str(index), f"{index}.png", "a", split, statistics))
        stored[str(index)] = np.abs(rng.normal(size=64)).astype(np.float32)
    # 1 is a mirrored copy of 0: nearly the same features, at another scale.
    stored["1"] = 3 * stored["0"] + rng.normal(size=64) * 0.1
    images = ImageTable.of(examples)

    def find(images=images, stored=stored, config=DEFAULTS) -> Findings:
        return feature_checks.find_feature_copies(images, table_of(stored), config)

    found = find()
    assert pairs_of(found) == [("1.png", "0.png")]
    assert "in train and in eval" in found.tell(0)
    assert not found.not_searched
    for config in (
        DataQualityConfig(leaks="off"),
        DataQualityConfig(max_feature_distance=0),
    ):
        assert not len(find(config=config))
    few = [each for each in examples if int(each.content_hash) < 40]
    assert not len(find(images=ImageTable.of(few)))
    assert not len(find(stored={}))
