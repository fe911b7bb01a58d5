"""Ingestion from end to end, without TFX."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from graft.components.ingestion.ingest import OutputFolders
from graft.components.progress import Count, watched
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError, UserError

Make = Callable[..., Any]


def test_every_image_becomes_one_whole_example(run_ingestion: Make, photos: Path):
    result = run_ingestion(photos)

    found = [e for split in split_names.SPLITS for e in result.examples(split)]
    assert len(found) == 80
    for example in found:
        name = example[example_keys.FILENAME_KEY].decode()
        encoded = (photos / name).read_bytes()
        assert example == {
            example_keys.IMAGE_KEY: encoded,
            example_keys.FORMAT_KEY: b"png",
            example_keys.HEIGHT_KEY: 12,
            example_keys.WIDTH_KEY: 16,
            example_keys.FILENAME_KEY: name.encode(),
            example_keys.CLASS_NAME_KEY: name.split("/")[0].encode(),
            example_keys.CONTENT_HASH_KEY: hashlib.sha256(encoded).hexdigest().encode(),
            example_keys.SOURCE_KEY: b"photos",
        }
    summary = result.summary
    assert summary["num_written"] == summary["num_read"] == 80
    assert sum(summary["splits"].values()) == 80
    assert summary["counts"]["train"]["cat"] > summary["counts"]["test"]["cat"] > 0


def test_more_shards_hold_the_same_images_in_the_same_order(
    run_ingestion: Make, photos: Path
):
    """The number of a cluster's workers must not change the model."""
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "000.png").read_bytes())
    few = run_ingestion(photos)
    many = run_ingestion(photos, "many", min_shards=7)
    for split in split_names.SPLITS:
        folder = Path(many.outputs.examples, f"Split-{split}")
        assert len(list(folder.iterdir())) == 7
        assert many.examples(split) == few.examples(split)


def test_metadata_is_the_examples_without_the_bytes(run_ingestion: Make, photos: Path):
    result = run_ingestion(photos)
    for split in split_names.SPLITS:
        whole = result.examples(split)
        for example in whole:
            del example[example_keys.IMAGE_KEY]
        assert result.examples(split, "metadata") == whole


def test_the_schema_parses_the_examples(run_ingestion: Make, photos: Path):
    from tensorflow_transform.tf_metadata import schema_utils

    result = run_ingestion(photos)
    schema = text_format.Parse(
        Path(result.outputs.schema, "schema.pbtxt").read_text(), schema_pb2.Schema()
    )
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    folder = Path(result.outputs.examples, "Split-test")
    records = list(tf.data.TFRecordDataset(sorted(map(str, folder.iterdir()))))
    parsed = tf.io.parse_example(tf.stack(records), spec)
    assert set(parsed) == set(result.examples("test")[0])
    assert parsed[example_keys.IMAGE_KEY].shape == [len(records)]


def test_nothing_but_data_lies_in_a_split(run_ingestion: Make, photos: Path):
    result = run_ingestion(photos)
    for folder in (result.outputs.examples, result.outputs.metadata):
        names = sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*.*"))
        assert not names
        assert sorted(os.listdir(folder)) == ["Split-eval", "Split-test", "Split-train"]
        for split in split_names.SPLITS:
            assert os.listdir(Path(folder, f"Split-{split}")) == [
                "data_tfrecord-00000-of-00001"
            ]


def test_a_shard_mixes_classes(run_ingestion: Make, photos: Path):
    labels = [
        e[example_keys.CLASS_NAME_KEY] for e in run_ingestion(photos).examples("train")
    ]
    changes = sum(a != b for a, b in itertools.pairwise(labels))
    assert changes > len(labels) / 4


def test_the_same_data_gives_the_same_files(run_ingestion: Make, photos: Path):
    first, second = run_ingestion(photos, "a"), run_ingestion(photos, "b")
    assert _contents(first) == _contents(second)


def test_splits_stay_put_when_data_grows(
    run_ingestion: Make, photos: Path, make_image: Make
):
    before = run_ingestion(photos, "before").splits_by_name()
    (photos / "emu").mkdir()
    for seed in range(20):
        (photos / "cat" / f"a new {seed}.png").write_bytes(make_image(1000 + seed))
        (photos / "emu" / f"{seed}.png").write_bytes(make_image(2000 + seed))
    after = run_ingestion(photos, "after").splits_by_name()
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 40


def test_several_shards_hold_each_image_once(
    run_ingestion: Make, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("graft.components.ingestion.image_lists._SHARD_IMAGES", 30)
    result = run_ingestion(photos)
    names = os.listdir(Path(result.outputs.examples, "Split-train"))
    assert sorted(names) == [f"data_tfrecord-0000{i}-of-00003" for i in range(3)]
    assert len(result.splits_by_name()) == 80
    assert result.summary["num_written"] == 80


def test_progress_counts_the_images(run_ingestion: Make, photos: Path):
    with watched() as progress:
        run_ingestion(photos)
    assert progress.snapshot()["images"] == Count(80, 80)


def test_copies_of_a_bad_image_count_as_bad(run_ingestion: Make, photos: Path):
    """Five copies of one cut file are five bad files, not one and four copies."""
    cut = min((photos / "cat").iterdir()).read_bytes()[:60]
    for number in range(5):
        (photos / "cat" / f"cut{number}.png").write_bytes(cut)
    with pytest.raises(DataError, match=r"5 of 85 images can't be used.*5\.9%"):
        run_ingestion(photos)
    summary = run_ingestion(photos, max_bad_fraction=0.06).summary
    assert (summary["num_read"], summary["num_quarantined"]) == (85, 5)
    assert summary["copies"] == {}


def test_bad_images_are_quarantined_with_a_reason(
    run_ingestion: Make, photos: Path, make_image: Make
):
    whole = make_image(999, (64, 64), "JPEG")
    bad = {
        "text.jpg": b"I am no image",
        "cut.jpg": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "empty2.jpg": b"",
        "large.png": make_image(998, (200, 201)),
        "photo.tiff": make_image(997, kind="TIFF"),
    }
    for name, encoded in bad.items():
        (photos / "cat" / name).write_bytes(encoded)
    (photos / "dog" / "dangling.jpg").symlink_to(photos / "nowhere.jpg")
    (photos / "dog" / "loop.jpg").symlink_to(photos / "dog" / "loop.jpg")
    os.mkfifo(photos / "dog" / "pipe.jpg")

    result = run_ingestion(photos, max_bad_fraction=0.2, max_pixels=40_000)

    reasons = {e["filename"]: e["reason"] for e in result.lines("quarantine.jsonl")}
    assert {name: reason.split(":")[0] for name, reason in reasons.items()} == {
        "cat/text.jpg": "not an image (13 bytes); JPEG, PNG, GIF, BMP or WebP are",
        "cat/cut.jpg": "damaged JPEG",
        "cat/empty.jpg": "empty file (0 bytes)",
        "cat/empty2.jpg": "empty file (0 bytes)",
        "cat/large.png": "too many pixels",
        "cat/photo.tiff": "TIFF is not supported; save it as JPEG or PNG",
        "dog/dangling.jpg": "can't be read",
        "dog/loop.jpg": "can't be read",
        "dog/pipe.jpg": "can't be read",
    }
    assert result.summary["num_quarantined"] == 9
    assert result.summary["reasons"]["empty file"] == 2
    assert result.summary["num_written"] == 80
    sizes = {e["filename"]: e["bytes"] for e in result.lines("quarantine.jsonl")}
    assert sizes["cat/text.jpg"] == 13
    assert sizes["dog/dangling.jpg"] is None


def test_too_many_bad_images_stop_the_run_and_are_named(
    run_ingestion: Make, photos: Path
):
    for number in range(5):
        (photos / "cat" / f"bad {number}.jpg").write_text(f"text {number}")
    with pytest.raises(DataError) as caught:
        run_ingestion(photos)
    message = str(caught.value)
    assert "5 of 85 images can't be used" in message
    assert "`max_bad_fraction` allows 5.0%, there are 5.9%" in message
    for number in range(5):
        assert f"'cat/bad {number}.jpg': not an image" in message


def test_a_failed_run_leaves_nothing(run_ingestion: Make, photos: Path, tmp_path: Path):
    (photos / "cat" / "bad.jpg").write_text("text")
    with pytest.raises(DataError):
        run_ingestion(photos, max_bad_fraction=0)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_copies_are_counted_once(run_ingestion: Make, photos: Path):
    for number in range(3):
        shutil.copy(photos / "cat/000.png", photos / f"cat/copy {number}.png")
    result = run_ingestion(photos)
    assert result.summary["num_written"] == 80
    assert result.summary["copies"] == {"duplicate": 3}
    assert result.lines("duplicates.jsonl") == [
        {
            "kind": "duplicate",
            "content_hash": hashlib.sha256(
                (photos / "cat/000.png").read_bytes()
            ).hexdigest(),
            "labels": ["cat"],
            "kept": ["cat/000.png"],
            "dropped": [f"cat/copy {number}.png" for number in range(3)],
        }
    ]


def test_unreadable_copies_are_no_label_conflict(run_ingestion: Make, photos: Path):
    for name in ("cat", "dog"):
        (photos / name / "error page.jpg").write_text("<html>404</html>")
    result = run_ingestion(photos)
    assert result.summary["num_quarantined"] == 2
    assert result.summary["copies"] == {}


@pytest.mark.parametrize(
    ("policy", "num_written"), [("drop", 79), ("keep", 81)], ids=["drop", "keep"]
)
def test_one_image_under_two_labels(
    run_ingestion: Make, photos: Path, policy: str, num_written: int
):
    shutil.copy(photos / "cat/000.png", photos / "dog/is a cat.png")
    result = run_ingestion(photos, duplicate_label_policy=policy)
    assert result.summary["num_written"] == num_written
    splits = result.splits_by_name()
    if policy == "keep":
        assert splits["cat/000.png"] == splits["dog/is a cat.png"]
    else:
        assert not {"cat/000.png", "dog/is a cat.png"} & set(splits)


def test_a_leak_leaves_the_held_out_copy(
    run_ingestion: Make, tmp_path: Path, make_image: Make, write_photos: Make
):
    root = tmp_path / "given"
    write_photos(root / "train", number=40)
    for name in ("cat", "dog"):
        (root / "test" / name).mkdir(parents=True)
        for number in range(5):
            encoded = make_image(5000 + number + 10 * (name == "dog"))
            (root / "test" / name / f"{number}.png").write_bytes(encoded)
    shutil.copy(root / "train/cat/000.png", root / "test/cat/leak.png")

    result = run_ingestion(root)

    splits = result.splits_by_name()
    assert splits["test/cat/leak.png"] == "test"
    assert "train/cat/000.png" not in splits
    assert result.summary["copies"] == {"leak": 1}
    assert result.summary["splits"]["test"] == 11
    assert result.summary["splits"]["eval"] > 0
    with pytest.raises(DataError, match=r"1 image in more than one given split"):
        run_ingestion(root, leak_policy="fail")


AWKWARD_NAMES = [
    "with space.png",
    "with 'single' and \"double\" quotes.png",
    "with\nnewline.png",
    "with\ttab and \\ backslash.png",
    "Ünïcödé 写真.png",
    "-rf.png",
    "#hash?query*[glob].png",
    "%41 percent {brace}.png",
    "x" * 240 + ".png",
]


def test_awkward_file_names_are_kept(
    run_ingestion: Make, photos: Path, make_image: Make
):
    for seed, name in enumerate(AWKWARD_NAMES):
        (photos / "cat" / name).write_bytes(make_image(3000 + seed))
    bytes_name = os.path.join(os.fsencode(photos / "dog"), b"no utf-8 \xff\xfe.png")
    with open(bytes_name, "wb") as file:
        file.write(make_image(3500))

    splits = run_ingestion(photos).splits_by_name()

    assert {f"cat/{name}" for name in AWKWARD_NAMES} <= set(splits)
    assert r"dog/no utf-8 \xff\xfe.png" in splits
    assert len(splits) == 80 + len(AWKWARD_NAMES) + 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_formats_are_told_by_content(
    run_ingestion: Make, photos: Path, kind: str, make_image: Make
):
    (photos / "cat" / "misnamed.jpg").write_bytes(make_image(4000, kind=kind))
    result = run_ingestion(photos)
    (found,) = [
        example
        for split in split_names.SPLITS
        for example in result.examples(split)
        if example[example_keys.FILENAME_KEY] == b"cat/misnamed.jpg"
    ]
    assert found[example_keys.FORMAT_KEY].decode() == kind.lower()


def test_classes_with_few_images_in_a_split_are_warned_of(
    run_ingestion: Make, photos: Path
):
    warnings = run_ingestion(photos).summary["warnings"]
    few = [warning for warning in warnings if "The split test has fewer" in warning]
    assert few, warnings


def test_a_full_disk_is_told(
    run_ingestion: Make, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    """Writes to /dev/full fail as on a full disk."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    writer = tf.io.TFRecordWriter
    monkeypatch.setattr(
        tf.io, "TFRecordWriter", lambda path, options: writer("/dev/full")
    )
    with pytest.raises(UserError, match="The disk of the pipeline's output is full"):
        run_ingestion(photos)


def test_an_empty_split_is_told(
    run_ingestion: Make, tmp_path: Path, write_photos: Make
):
    root = write_photos(tmp_path / "few", number=2)
    with pytest.raises(DataError, match=r"The split 'eval' got none of 4 images"):
        run_ingestion(root, min_images_per_class=2)


def test_rare_classes_are_in_every_split(
    run_ingestion: Make,
    tmp_path: Path,
    write_photos: Make,
    make_image: Make,
    monkeypatch: pytest.MonkeyPatch,
):
    """Fifty classes of three; of the last, one image more that can't be read."""
    monkeypatch.setattr("graft.components.ingestion.image_lists._SHARD_IMAGES", 40)
    names = tuple(f"class{number:02d}" for number in range(50))
    root = write_photos(tmp_path / "tail", names, number=3)
    (root / "class49" / "damaged.png").write_bytes(make_image(999)[:200])
    result = run_ingestion(root)

    counts = result.summary["counts"]
    for name in names:
        assert [counts[split][name] for split in split_names.SPLITS] == [1, 1, 1]
    for split in split_names.SPLITS:
        examples = result.examples(split)
        found = sorted(e[example_keys.CLASS_NAME_KEY].decode() for e in examples)
        assert found == sorted(names)
        for example in examples:
            encoded = example.pop(example_keys.IMAGE_KEY)
            digest = hashlib.sha256(encoded).hexdigest()
            assert digest.encode() == example[example_keys.CONTENT_HASH_KEY]
        assert result.examples(split, "metadata") == examples
        assert len(os.listdir(Path(result.outputs.examples, f"Split-{split}"))) == 4
    assert sorted(os.listdir(result.outputs.examples)) == [
        f"Split-{split}" for split in sorted(split_names.SPLITS)
    ]
    (warning,) = [w for w in result.summary["warnings"] if "rare classes" in w]
    assert "'class00'" in warning


def test_rare_classes_are_split_alike_in_shards_of_any_size(
    run_ingestion: Make,
    tmp_path: Path,
    write_photos: Make,
    monkeypatch: pytest.MonkeyPatch,
):
    root = write_photos(tmp_path / "tail", ("cat", "dog", "emu", "fox"), number=4)
    whole = run_ingestion(root, "whole").splits_by_name()
    monkeypatch.setattr("graft.components.ingestion.image_lists._SHARD_IMAGES", 3)
    assert run_ingestion(root, "cut").splits_by_name() == whole


def test_one_image_under_two_labels_stays_in_one_split(
    run_ingestion: Make, tmp_path: Path, write_photos: Make
):
    root = write_photos(tmp_path / "both", number=4)
    for path in (root / "cat").iterdir():
        shutil.copy(path, root / "dog" / f"copy of {path.name}")
    found = run_ingestion(root, format="folders", duplicate_label_policy="keep")
    splits = found.splits_by_name()
    for path in (root / "cat").iterdir():
        assert splits[f"cat/{path.name}"] == splits[f"dog/copy of {path.name}"]


def test_a_class_without_training_images_is_told(
    run_ingestion: Make, tmp_path: Path, make_image: Make, write_photos: Make
):
    root = tmp_path / "given"
    write_photos(root / "train", number=20)
    write_photos(root / "test", ("cat", "dog", "emu"), number=4)
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(make_image(hash(str(path)) % 2**31))
    with pytest.raises(DataError, match=r"'train' has no images of 'emu'"):
        run_ingestion(root)


@pytest.mark.parametrize("names", [("Cat", "dog"), ("Cat", "DOG")])
def test_names_that_differ_in_case_between_splits_are_merged_or_stop(
    run_ingestion: Make, tmp_path: Path, make_image: Make, names: tuple[str, str]
):
    root = tmp_path / "given"
    for split, classes in (("train", names), ("val", ("cat", "dog"))):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for i in range(20):
                encoded = make_image(hash((split, name, i)) % 2**31)
                (root / split / name / f"{i}.png").write_bytes(encoded)
    with pytest.raises(DataError, match=r"'train' has no images of 'cat'") as error:
        run_ingestion(root)
    assert "'Cat' (20 images), 'cat' (20 images) differ only in case" in str(
        error.value
    )
    assert "`data.similar_class_names` to 'merge'" in str(error.value)
    merged = run_ingestion(root, similar_class_names="merge").summary
    assert merged["counts"]["test"] == dict.fromkeys(sorted(names), 20)


def test_a_class_without_test_images_is_told(
    run_ingestion: Make, tmp_path: Path, make_image: Make, write_photos: Make
):
    root = tmp_path / "given"
    write_photos(root / "train", ("cat", "dog", "emu"), number=20)
    write_photos(root / "test", number=6)
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(make_image(hash(str(path)) % 2**31))
    warnings = run_ingestion(root).summary["warnings"]
    assert any("test has no images of 'emu': its figures say" in w for w in warnings)


def test_a_run_after_kill_9_equals_an_uninterrupted_one(
    run_ingestion: Make, tmp_path: Path, write_photos: Make
):
    """Kill a process at a random moment while it writes; then run again."""
    root = write_photos(tmp_path / "many", number=150)
    outputs = OutputFolders(
        *(str(tmp_path / "out" / kind) for kind in OutputFolders._fields)
    )
    # One thread and slow reads, so that the kill comes in the middle.
    script = textwrap.dedent(
        f"""
        import time
        import apache_beam as beam
        from graft.components.ingestion import image_lists, ingest, transforms
        from graft.components.ingestion.sources.config import DataConfig
        read = transforms.read_bytes
        def read_slowly(*args):
            time.sleep(0.005)
            return read(*args)
        transforms.read_bytes = read_slowly
        image_lists._SHARD_IMAGES = 60
        outputs = ingest.OutputFolders(*{tuple(outputs)!r})
        ingest.ingest(DataConfig(path={str(root)!r}), outputs, beam.Pipeline)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=os.getcwd())
    first = Path(outputs.examples, "Split-train")
    deadline = time.monotonic() + 200
    while not (first.is_dir() and os.listdir(first)):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Path(outputs.examples, "work").is_dir()
    for path in first.iterdir():
        assert sum(1 for _ in tf.data.TFRecordDataset(str(path))) > 0  # whole, no error
    assert not Path(outputs.quarantine, "summary.json").exists()

    again = run_ingestion(root)
    fresh = run_ingestion(root, "fresh")

    assert _contents(again) == _contents(fresh)
    assert again.summary["num_written"] == 300


def _contents(result: Any) -> dict[str, bytes]:
    return {
        f"{kind}/{path.relative_to(folder)}": path.read_bytes()
        for kind, folder in result.outputs._asdict().items()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }
