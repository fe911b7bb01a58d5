"""DataQuality on artifacts: it always reports, and drops images by policy."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image
from tfx.types import standard_artifacts

from graft.components.ingestion.fixes.applied_fixes import FIXES_FILE, AppliedFixes
from graft.components.quality import (
    executor,
    measurements,
    measuring_job,
    reading,
    search_job,
)
from graft.components.quality.artifacts import DOUBTFUL_FILE, DataQualityReport
from graft.components.quality.component import DataQuality
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.findings import Findings
from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.storage.content_store.references import read_reference, refer
from graft.storage.content_store.store import ContentStore
from graft.storage.content_store.store_upkeep import pinned

Check = Callable[..., tuple[dict[str, Any], dict[str, Any], list[str]]]


def encode(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **{"format": "PNG", **options})
    return buffer.getvalue()


def noise(seed: int) -> Image.Image:
    rough = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((64, 48), Image.Resampling.NEAREST)


def to_record(name: str, encoded: bytes) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    for key, value in (
        (example_keys.IMAGE_KEY, encoded),
        (example_keys.FILENAME_KEY, name.encode()),
        (example_keys.CLASS_NAME_KEY, b"cat"),
        (example_keys.FORMAT_KEY, b"png"),
        (example_keys.CONTENT_HASH_KEY, hashlib.sha256(encoded).hexdigest().encode()),
    ):
        feature[key].bytes_list.value.append(value)
    feature[example_keys.HEIGHT_KEY].int64_list.value.append(48)
    feature[example_keys.WIDTH_KEY].int64_list.value.append(64)
    return example.SerializeToString()


SPLITS = {
    "train": {
        "sound.png": encode(noise(1)),
        "copy of test.png": encode(noise(9), format="JPEG", quality=85),
        "blank.png": encode(Image.new("RGB", (64, 48), (90, 140, 60))),
    },
    "eval": {"sound too.png": encode(noise(2))},
    "test": {
        "original.png": encode(noise(9)),
        "blank held out.png": encode(Image.new("RGB", (64, 48), (200, 30, 30))),
    },
}


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run DataQuality: returns quality.json, profile.json and the names in `train`."""

    def made(cls: Any, name: str) -> Any:
        artifact = cls()
        artifact.uri = str(tmp_path / name)
        return artifact

    examples = made(standard_artifacts.Examples, "examples")
    examples.split_names = json.dumps(list(SPLITS))
    for split, images in SPLITS.items():
        folder = Path(examples.uri) / f"Split-{split}"
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001")) as writer:
            for name, encoded in images.items():
                writer.write(to_record(name, encoded))

    def run(
        store: Path | None = None,
        pipeline: beam.Pipeline | None = None,
        **policies: str,
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        quality = made(DataQualityReport, "quality")
        checked = made(standard_artifacts.Examples, "checked")
        DataQuality.test_call(
            examples=examples,
            training_examples=examples,
            quality=quality,
            checked_examples=checked,
            config=DataQualityConfig(**policies).model_dump_json(),
            cache_dir="" if store is None else str(store),
            measuring_code="the code",
            beam_pipeline=pipeline,
        )
        result, profile = (
            json.loads((Path(quality.uri) / name).read_text())
            for name in ("quality.json", "profile.json")
        )
        kept = []
        for split in SPLITS:
            for path in sorted(Path(checked.uri).glob(f"Split-{split}/*")):
                for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                    feature = tf.train.Example.FromString(record).features.feature
                    name = (
                        feature[example_keys.FILENAME_KEY].bytes_list.value[0].decode()
                    )
                    kept.append(f"{split}: {name}")
        return result, profile, kept

    return run


def findings(result: dict[str, Any]) -> dict[str, list[str]]:
    return {
        each["name"]: each["filenames"]
        for each in result["checks"]
        if each["filenames"]
    }


FOUND = {
    "leaks": ["copy of test.png"],
    "blank": ["blank.png", "blank held out.png"],
}


def test_a_run_that_remembers_finds_what_a_cold_run_finds(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = check()
    first = check(tmp_path / "store")
    monkeypatch.setattr(measurements, "measure_image", fail)
    again = check(tmp_path / "store")
    assert findings(again[0]) == FOUND
    assert cold == first == again


def fail(*_: object) -> None:
    raise AssertionError("not again")


def cluster() -> beam.Pipeline:
    """Return a pipeline whose options are those of a cluster; it runs here."""
    return beam.Pipeline(options=PipelineOptions(["--parallelism=2"]))


@pytest.mark.parametrize("has_store", [True, False])
def test_workers_find_what_one_machine_finds(
    has_store: bool, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = check()
    search = reading.search_on_workers

    def measure_and_then_no_more(*arguments: Any, **named: Any) -> None:
        search(*arguments, **named)
        monkeypatch.setattr(measurements, "measure_image", fail)

    monkeypatch.setattr(reading, "search_on_workers", measure_and_then_no_more)
    monkeypatch.setattr(reading, "search_here", fail)
    assert check(tmp_path / "store" if has_store else None, cluster()) == cold
    # What the workers wrote is in the store, or gone.
    left = {path.name for path in (tmp_path / "quality").iterdir()}
    assert left == {"quality.json", "profile.json", DOUBTFUL_FILE}


def test_no_job_if_all_is_measured(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = {"leaks": "off", "label_conflicts": "off"}
    cold = check(tmp_path / "store", **off)
    monkeypatch.setattr(measuring_job, "job", fail)
    assert check(tmp_path / "store", cluster(), **off) == cold


def test_no_job_without_a_cluster(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_job, "job", fail)
    assert findings(check(pipeline=beam.Pipeline())[0]) == FOUND


def test_warnings_change_nothing(check: Check) -> None:
    result, profile, kept = check()
    assert findings(result) == FOUND
    assert result["dropped"] == []
    # Nothing is copied, because the trainer reads the original examples.
    assert kept == []
    pictures = [
        finding["picture"] for each in result["checks"] for finding in each["findings"]
    ]
    assert all(each.startswith("data:image/jpeg;base64,") for each in pictures)
    assert profile["class"] == {"cat": 6}
    assert profile["longer edge, px"] == {"64 to 128": 6}


def test_drop_leaves_images_out_of_train_alone(check: Check) -> None:
    result, _, kept = check(leaks="drop", blank="drop")
    assert findings(result) == FOUND
    assert kept == [
        "train: sound.png",
        "eval: sound too.png",
        "test: original.png",
        "test: blank held out.png",
    ]
    hashes = [
        hashlib.sha256(SPLITS["train"][name]).hexdigest()
        for name in ("copy of test.png", "blank.png")
    ]
    assert result["dropped"] == sorted(hashes)


def test_doubtful_labels_are_listed_without_those_that_a_person_gave(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixes = [
        {"content_hash": "aa", "action": "confirmed"},
        {"content_hash": "bb", "action": "relabelled"},
        {"content_hash": "cc", "action": "dropped"},
        {"content_hash": None, "action": "added"},
    ]
    applied = AppliedFixes([], {}, {}, {}, [], fixes)
    (tmp_path / "examples" / FIXES_FILE).write_text(applied.to_json())
    seen = []

    def find(images: Any, features: Any, confirmed: Any) -> Findings:
        seen.append(set(confirmed))
        return Findings(
            images,
            np.array([0]),
            tell=lambda index: "doubtful",
            facts=lambda index: {"suggestion": "dog", "confidence": 0.75},
        )

    monkeypatch.setattr(executor, "find_label_errors", find)
    check()
    assert seen == [{"aa", "bb"}]
    (line,) = (tmp_path / "quality" / DOUBTFUL_FILE).read_text().splitlines()
    assert json.loads(line) == {
        "content_hash": hashlib.sha256(SPLITS["train"]["sound.png"]).hexdigest(),
        "filename": "sound.png",
        "label": "cat",
        "suggestion": "dog",
        "confidence": 0.75,
    }


def test_more_doubtful_labels_have_a_picture_than_other_findings(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(images: Any, *_: Any) -> Findings:
        return Findings(images, np.zeros(130, int), tell=lambda index: "doubtful")

    monkeypatch.setattr(executor, "find_label_errors", find)
    poor = ("blank", "dark", "blurred", "tiny")
    monkeypatch.setattr(
        executor,
        "find_poor_images",
        lambda images, *_: {name: find(images) for name in poor},
    )
    result, _, _ = check()
    shown = {each["name"]: each["findings"] for each in result["checks"]}
    assert len(shown["label_errors"]) == 100
    assert all(each["picture"] for each in shown["label_errors"])
    assert len(shown["dark"]) == 12


def test_fail_names_the_images_and_the_way_out(check: Check) -> None:
    with pytest.raises(DataError) as raised:
        check(leaks="fail", blank="warn")
    message = str(raised.value)
    assert "'copy of test.png' and 'original.png'" in message
    assert "`data_quality.leaks`: " in message
    assert "set these policies to `warn` or `drop`" in message
    assert "blank" not in message


def test_fail_never_passes_on_a_search_that_left_images_out(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(images: Any, copies: Any, config: Any) -> dict[str, Findings]:
        left_out = Findings(images, not_searched={"images that look too much alike": 7})
        return {"leaks": left_out, "label_conflicts": Findings(images)}

    monkeypatch.setattr(executor, "find_pairs", search)
    result, _, _ = check(leaks="warn")
    assert result["checks"][0]["not_searched"] == {"images that look too much alike": 7}
    with pytest.raises(DataError, match="not searched: 7 images that look too much"):
        check(leaks="fail")


def test_what_is_left_refers_to_the_same_store(check: Check, tmp_path: Path) -> None:
    store = ContentStore(str(tmp_path / "features"), {"engine": "a"}).open()
    store.put([bytes(32)], np.ones((1, 2), np.float32))
    names, _ = store.places([bytes(32)])
    refer(str(tmp_path / "examples"), store.folder, names)
    check(blank="drop")
    found = read_reference(str(tmp_path / "checked"))
    assert found is not None
    assert found.files == tuple(names)
    artifacts = pinned(store.folder)[store.namespace]
    assert sorted(map(os.path.basename, artifacts)) == ["checked", "examples"]
