"""What an earlier run measured is what this run would measure."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.quality import measurements as module
from graft.components.quality.measurements import MeasuredImage, Measurements
from graft.contract import example_keys

Write = Callable[..., tuple[str, str]]


def picture(seed: int) -> bytes:
    rough = np.random.default_rng(seed).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rough).resize((70 + seed, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def to_record(encoded: bytes, name: str, key: str, *, with_image: bool) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    texts = {
        example_keys.FILENAME_KEY: name,
        example_keys.CLASS_NAME_KEY: "cat",
        example_keys.FORMAT_KEY: "png",
        example_keys.CONTENT_HASH_KEY: key,
    }
    for field, text in texts.items():
        feature[field].bytes_list.value.append(text.encode())
    feature[example_keys.HEIGHT_KEY].int64_list.value.append(50)
    feature[example_keys.WIDTH_KEY].int64_list.value.append(70)
    if with_image:
        feature[example_keys.IMAGE_KEY].bytes_list.value.append(encoded)
    return example.SerializeToString()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a shard of pictures by seed; return the paths of metadata and images."""

    def make(*seeds: int, key: str | None = None) -> tuple[str, str]:
        paths = []
        for kind in ("metadata", "images"):
            path = str(tmp_path / f"{kind}-{'-'.join(map(str, seeds))}")
            with tf.io.TFRecordWriter(path) as writer:
                for seed in seeds:
                    encoded = picture(seed)
                    own = key or hashlib.sha256(encoded).hexdigest()
                    writer.write(
                        to_record(
                            encoded, f"{seed}.png", own, with_image=kind == "images"
                        )
                    )
            paths.append(path)
        return paths[0], paths[1]

    return make


def run(
    folder: str, shard: tuple[str, str], code: str = "c"
) -> tuple[list[MeasuredImage], int]:
    """Return the images, and how many of them were measured."""
    with Measurements(folder, code) as measurements:
        images = list(measurements.of_shard(*shard))
    number = measurements.num_measured
    assert number + measurements.num_remembered == len(images)
    return images, number


def same(one: list[MeasuredImage], other: list[MeasuredImage]) -> None:
    assert [each.filename for each in one] == [each.filename for each in other]
    for first, second in zip(one, other, strict=True):
        for name in ("signature", "brightness", "contrast", "sharpness", "edge"):
            np.testing.assert_array_equal(
                getattr(first.statistics, name), getattr(second.statistics, name)
            )


def test_only_new_images_are_measured_and_the_result_is_the_same(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "store")
    _, number = run(store, write(1, 2, 3))
    assert number == 3
    shard = write(4, 1, 3, 2, 5)
    cold, number = run("", shard)
    assert number == 5
    calls: list[bytes] = []
    measure = module.measure_image

    def counted(encoded: bytes) -> Any:
        calls.append(encoded)
        return measure(encoded)

    monkeypatch.setattr(module, "measure_image", counted)
    images, number = run(store, shard)
    assert number == 2
    assert calls == [picture(4), picture(5)]
    same(images, cold)
    # The images' file is not even opened if nothing is new.
    Path(shard[1]).unlink()
    images, number = run(store, shard)
    assert number == 0
    same(images, cold)


def test_other_code_measures_again(write: Write, tmp_path: Path) -> None:
    store, shard = str(tmp_path / "store"), write(1, 2)
    run(store, shard)
    assert run(store, shard, code="changed")[1] == 2
    assert run(store, shard)[1] == 0


@pytest.mark.parametrize("damage", ["edited", "cut"])
def test_a_damaged_file_is_told_and_measured_again(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    store, shard = tmp_path / "store", write(1, 2)
    cold, _ = run(str(store), shard)
    (path,) = store.rglob("*.arrow")
    content = path.read_bytes()
    brightness = np.float64(cold[0].statistics.brightness).tobytes()
    assert brightness in content
    brighter = np.float64(255).tobytes()
    path.write_bytes(
        content.replace(brightness, brighter)
        if damage == "edited"
        else content[: len(content) // 2]
    )
    with caplog.at_level(logging.WARNING):
        images, number = run(str(store), shard)
    assert number == 2
    assert f"{path} is damaged" in caplog.text
    same(images, cold)
    assert run(str(store), shard)[1] == 0


def test_nothing_is_kept_under_a_key_that_is_not_the_hash_of_the_bytes(
    write: Write, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    shard = write(1, key="0" * 64)
    assert run(store, shard)[1] == 1
    assert run(store, shard)[1] == 1


def test_a_store_that_cannot_be_used_is_told_and_stops_nothing(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert run(str(tmp_path / "file" / "store"), write(1))[1] == 1
    assert "can't be kept" in caplog.text


def test_what_was_measured_before_an_error_is_kept(
    write: Write, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    with pytest.raises(RuntimeError), Measurements(store, "c") as measurements:
        list(measurements.of_shard(*write(1, 2)))
        raise RuntimeError("stopped")
    assert run(store, write(1, 2, 3))[1] == 1


def test_a_store_that_is_pruned_meanwhile_is_told_and_stops_nothing(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, shard = tmp_path / "store", write(1, 2)
    cold, _ = run(str(store), shard)
    with caplog.at_level(logging.WARNING), Measurements(str(store), "c") as again:
        shutil.rmtree(store)
        same(list(again.of_shard(*shard)), cold)
    assert again.num_measured == 2
    assert "can't be kept" in caplog.text
